/**
 * The control plane that test files share, as an administrator of an organisation of one's own sees it. What a test does to
 * its organisation nobody else sees; what it would do to the whole (kill it, read its log) needs one of its own
 * (`startTestControlPlane`).
 */
import { request } from "node:http";
import { inject } from "vitest";
import type { ControlPlane } from "../../executor-host/local/control-plane.ts";
import { inNewOrganization, type TestControlPlane } from "./control-plane.ts";
import { SECRETS } from "./secrets.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The socket of shared-control-plane.setup.ts. */
    sharedControlPlane: string;
  }
}

export type Asked =
  | { ask: "address" }
  | { ask: "query"; sql: string; params: unknown[] }
  | { ask: "evict"; className: string; objectName: string; options?: Parameters<ControlPlane["evict"]>[2] }
  | { ask: "cron" };

/** In a new, empty organisation. `dispose` does nothing: it goes with the last test. */
export async function sharedControlPlane(): Promise<TestControlPlane & AsyncDisposable> {
  const { url, stateDir } = (await ask({ ask: "address" })) as { url: string; stateDir: string };
  const nobody = async () => {};
  const plane = {
    url,
    stateDir,
    secrets: SECRETS,
    query: async (sql: string, ...params: unknown[]) =>
      (await ask({ ask: "query", sql, params })) as Record<string, unknown>[],
    evict: async (className: string, objectName: string, options?: Parameters<ControlPlane["evict"]>[2]) =>
      void (await ask({ ask: "evict", className, objectName, ...(options && { options }) })),
    fireCron: async () => void (await ask({ ask: "cron" })),
    killWorkerd: () => refuse(),
    killKeeper: () => refuse(),
    get logs(): string[] {
      return refuse();
    },
    dispose: nobody,
    [Symbol.asyncDispose]: nobody,
  } satisfies Partial<TestControlPlane> & AsyncDisposable;
  return inNewOrganization(plane);
}

function refuse(): never {
  throw new Error("this control plane is shared with other tests: start one for this test");
}

function ask(asked: Asked): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const posting = request({ socketPath: inject("sharedControlPlane"), method: "POST" }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      response.on("end", () => {
        const value: unknown = JSON.parse(text);
        if (response.statusCode === 200) resolve(value);
        else reject(new Error(String(value)));
      });
    });
    posting.once("error", reject);
    posting.end(JSON.stringify(asked));
  });
}
