/** The images of a Docker engine: there or not, pulled, or made from a tar stream. */
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import type { ImageStore, NewImage } from "./port.ts";

/** A layer's state, a note, or what went wrong: each line of the engine's answer is one of these. */
type Progress = {
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
};

export class DockerImages implements ImageStore {
  readonly #docker: Docker;

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  async has(image: string): Promise<boolean> {
    return await this.#docker
      .getImage(image)
      .inspect()
      .then(
        () => true,
        (error: unknown) => refusedUnless(404)(error),
      );
  }

  async pull(image: string, progress: (line: string) => void, signal: AbortSignal): Promise<void> {
    const layers = new Map<string, { current: number; total: number }>();
    const answer = await this.#docker.pull(image, { abortSignal: signal });
    for await (const { id, status, progressDetail } of progressOf(answer)) {
      if (id === undefined || status !== "Downloading" || !progressDetail?.total) continue;
      layers.set(id, { current: progressDetail.current ?? 0, total: progressDetail.total });
      const all = [...layers.values()];
      const megabytes = (of: "current" | "total") => Math.ceil(all.reduce((sum, layer) => sum + layer[of], 0) / 1e6);
      progress(`${megabytes("current")} of ${megabytes("total")} MB`);
    }
  }

  async make({ repository, tag, labels, environment }: NewImage, tar: Readable, signal: AbortSignal): Promise<void> {
    const changes = [
      ...Object.entries(labels).map(([name, value]) => `LABEL ${name}=${JSON.stringify(value)}`),
      ...Object.entries(environment).map(([name, value]) => `ENV ${name}=${JSON.stringify(value)}`),
    ];
    const answer = await this.#docker.importImage(tar, { repo: repository, tag, changes, abortSignal: signal });
    for await (const _line of progressOf(answer));
  }

  async withLabel(label: string): Promise<{ id: string; createdAtMs: number; names: string[] }[]> {
    const found = await this.#docker.listImages({ filters: { label: [label] } });
    return found.map(({ Id, Created, RepoTags }) => ({
      id: Id,
      createdAtMs: Created * 1000,
      // How the engine says that there is none differs between its versions.
      names: (RepoTags ?? []).filter((name) => !name.startsWith("<none>")),
    }));
  }

  async removeUnused(id: string): Promise<boolean> {
    // Without force: an image that a container uses, or that has a second name, refuses.
    const image = this.#docker.getImage(id);
    return await image.remove().then(
      () => true,
      (error: unknown) => refusedUnless(404, 409)(error),
    );
  }
}

/** The lines of the engine's answer. @throws Error in the engine's words: after the headers, a failure is a line too */
async function* progressOf(answer: NodeJS.ReadableStream): AsyncGenerator<Progress> {
  let rest = "";
  for await (const bytes of answer) {
    rest += bytes.toString();
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() === "") continue;
      const progress = JSON.parse(line) as Progress;
      if (progress.error !== undefined) throw new Error(progress.error);
      yield progress;
    }
  }
}

/** False for these statuses; throws every other error. */
function refusedUnless(...statuses: number[]): (error: unknown) => false {
  return (error) => {
    if (error instanceof Error && "statusCode" in error && statuses.includes(Number(error.statusCode))) return false;
    throw error;
  };
}
