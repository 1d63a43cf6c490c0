/**
 * Who may import what (the table of the architecture), as data. A row that is too strict is changed here on purpose, with
 * a reason, or the import goes elsewhere.
 */
export type Layer =
  | "protocol"
  | "core"
  | "shell"
  | "schema"
  | "worker"
  | "host"
  | "runner"
  | "toolkit"
  | "local"
  | "portal"
  | "test"
  | "config";

/** First match wins. */
const PLACES: readonly (readonly [RegExp, Layer])[] = [
  [/^[^/]+\.config\.ts$|^web\/vite\.config\.ts$|^migrations\/drizzle\.config\./, "config"],
  [/^durable\/protocol\//, "protocol"],
  // Pure: what should happen. Everything else under durable/ makes it happen.
  [
    /^durable\/(session|fleet|project)\/(commands|decide|decide-[\w-]+|react|run-steps|run-start|parking|seen|placement|turns|queue|leases)\.ts$/,
    "core",
  ],
  [/^durable\/(session|fleet|project|shell)\//, "shell"],
  [/^migrations\/schema\.ts$/, "schema"],
  [/^worker\//, "worker"],
  [/^executor-host\/runner\//, "runner"],
  [/^executor-host\/toolkit\//, "toolkit"],
  // Two tools that the host uses, too; they know nothing of npm start.
  [/^executor-host\/local\/(lock-file|process-identity)\.ts$/, "host"],
  [/^executor-host\/local\//, "local"],
  [/^executor-host\//, "host"],
  [/^web\//, "portal"],
  [/^test\//, "test"],
];

export function layerOf(path: string): Layer | undefined {
  return PLACES.find(([pattern]) => pattern.test(path))?.[1];
}

type Row = {
  files: readonly Layer[];
  packages: readonly RegExp[];
  /** Allowed as `import type` alone. */
  types?: { files?: readonly (Layer | RegExp)[]; packages?: readonly RegExp[] };
  /** Where to go instead. */
  instead: string;
};

const node = /^node:/;
const zod = /^zod$/;
/** What workerd itself brings of Node, where Web Crypto and streams have no synchronous or incremental form. */
const workerdNode = /^node:(crypto|zlib)$/;
const anything = /./;

export const LAYERS: Record<Layer, Row> = {
  protocol: {
    files: ["protocol"],
    packages: [zod],
    types: { packages: [/^ai$/] },
    instead: "the wire knows nobody; what needs a platform belongs to the one who uses it",
  },
  core: {
    files: ["protocol", "core"],
    packages: [],
    types: { packages: [/^ai$/] },
    instead: "a core is pure; return an event or an effect and let the shell carry it out",
  },
  shell: {
    files: ["protocol", "core", "shell", "schema"],
    packages: [/^cloudflare:workers$/, workerdNode, /^drizzle-orm$/, /^jose$/, zod],
    types: { packages: [/^@cloudflare\/workers-types$/, /^ai$/] },
    instead: "an object reaches others by RPC (fleet-calls, session-calls) and people by its outbox",
  },
  schema: {
    files: ["schema", "protocol"],
    packages: [/^drizzle-orm$/],
    instead: "a schema has tables and nothing else",
  },
  worker: {
    files: ["protocol", "worker", "schema"],
    packages: [
      /^hono$/,
      /^hono-openapi$/,
      /^@hono\//,
      /^drizzle-orm$/,
      /^jose$/,
      /^fflate$/,
      /^@aws-sdk\/(client-s3|s3-request-presigner)$/,
      workerdNode,
      zod,
    ],
    types: { files: ["shell"], packages: [/^@cloudflare\/workers-types$/, /^ai$/] },
    instead: "objects are called through the RPC types in #protocol/objects.ts",
  },
  host: {
    files: ["protocol", "host", "toolkit"],
    packages: [node, zod, /^(ws|pino|jose|commander|dockerode|ignore|undici)$/],
    instead: "the host knows the control plane by #protocol alone, and the runner by its API",
  },
  runner: {
    files: ["protocol", "runner"],
    packages: [node, zod, /^ai$/, /^@ai-sdk\//, /^ai-sdk-provider-/],
    instead: "the runner is alone in its container; what it shares with the host is #protocol/runner-api.ts",
  },
  toolkit: {
    files: ["protocol", "toolkit", "host"],
    packages: [node, zod, /^esbuild$/],
    instead: "the toolkit is built on the operator's machine from what lies in its folder",
  },
  local: {
    files: ["protocol", "local", "host"],
    packages: [node, zod, /^(miniflare|wrangler|esbuild|vite|workerd:unsafe)$/],
    instead: "one machine runs the same Worker and the same host as any other; start them, do not reach into them",
  },
  portal: {
    files: ["protocol", "portal"],
    packages: [
      zod,
      /^(react|react-dom|hono|ai|clsx|ansi_up|shiki|sonner|streamdown|radix-ui|lucide-react|partysocket|fflate)$/,
      /^(tailwind-merge|tailwindcss|use-stick-to-bottom|@tanstack\/.+)$/,
    ],
    types: { files: [/^worker\/app\.ts$/] },
    instead: "the portal talks to the worker over HTTP; shapes are in #protocol, routes in `import type AppType`",
  },
  test: {
    files: [
      "protocol",
      "core",
      "shell",
      "schema",
      "worker",
      "host",
      "runner",
      "toolkit",
      "local",
      "portal",
      "test",
      "config",
    ],
    packages: [anything],
    instead: "",
  },
  config: { files: [], packages: [anything], instead: "" },
};

/** Imports that the table does not allow, each with its reason. One that is no longer needed fails the test. */
export const EXCEPTIONS: readonly { from: string; to: string; reason: string }[] = [
  {
    from: "worker/index.ts",
    to: "durable/session/session-object.ts",
    reason: "workerd finds object classes among the exports of the entry",
  },
  {
    from: "worker/index.ts",
    to: "durable/fleet/fleet-object.ts",
    reason: "workerd finds object classes among the exports of the entry",
  },
  {
    from: "worker/auth/authenticate.ts",
    to: "durable/shell/host-token.ts",
    reason: "a host's token is good for routes and for sockets; one place signs and checks it",
  },
  {
    from: "worker/routes/host-identity.ts",
    to: "durable/shell/host-token.ts",
    reason: "a host's token is good for routes and for sockets; one place signs and checks it",
  },
  {
    from: "executor-host/local/test.ts",
    to: "test/support/docker-image.ts",
    reason: "the test run says whether a Docker engine answers before it selects suites",
  },
];

/** Why an import is not allowed; undefined when it is. */
export function refusal(
  from: Layer,
  to: { layer?: Layer; path?: string; package?: string },
  typeOnly: boolean,
): string | undefined {
  const row = LAYERS[from];
  if (to.package !== undefined) {
    const name = to.package;
    const allowed = [...row.packages, ...(typeOnly ? (row.types?.packages ?? []) : [])];
    return allowed.some((pattern) => pattern.test(name)) ? undefined : row.instead;
  }
  if (to.layer !== undefined && row.files.includes(to.layer)) return undefined;
  const typed = (typeOnly && row.types?.files) || [];
  const allowed = typed.some((entry) => (typeof entry === "string" ? entry === to.layer : entry.test(to.path ?? "")));
  return allowed ? undefined : row.instead;
}
