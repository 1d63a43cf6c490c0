/**
 * The Worker's routes, put together. Every request takes the same way:
 *
 *   name it → headers → secrets there? → size → does the route say who may? → allow(…) → check the input → handler
 *                                                                         any failure on the way → onError, once
 */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import { LIMITS } from "#protocol/limits.ts";
import { type Rejection, reject } from "#protocol/objects.ts";
import { refuseUndeclared } from "./auth/allow.ts";
import { type AppContext, type AppEnv, requestContext } from "./context.ts";
import { requireSecrets } from "./env.ts";
import { Refused, refuse, rejectionOf, statusOf } from "./errors.ts";
import { appRoutes } from "./routes/apps.ts";
import { auditRoutes } from "./routes/audit.ts";
import { bootstrapRoutes } from "./routes/bootstrap.ts";
import { changeRoutes } from "./routes/changes.ts";
import { chatRoutes } from "./routes/chat.ts";
import { credentialRoutes } from "./routes/credentials.ts";
import { fileRoutes } from "./routes/files.ts";
import { forkRoutes } from "./routes/fork.ts";
import { healthRoutes } from "./routes/health.ts";
import { hostCredentialRoutes } from "./routes/host-credentials.ts";
import { hostIdentityRoutes } from "./routes/host-identity.ts";
import { hostRoutes } from "./routes/hosts.ts";
import { humanLoopRoutes } from "./routes/human-loop.ts";
import { linkRoutes } from "./routes/links.ts";
import { openApiRoutes } from "./routes/openapi.ts";
import { organizationRoutes } from "./routes/organization.ts";
import { poolRoutes } from "./routes/pools.ts";
import { providerRoutes } from "./routes/providers.ts";
import { reconcileRoutes } from "./routes/reconcile.ts";
import { restorePlanRoutes } from "./routes/restore-plan.ts";
import { runQueueRoutes } from "./routes/run-queue.ts";
import { runRoutes } from "./routes/runs.ts";
import { serviceTokenRoutes } from "./routes/service-tokens.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { accountRoutes } from "./routes/sign-in.ts";
import { sessionSnapshotRoutes, snapshotRoutes } from "./routes/snapshots.ts";
import { storeRoutes } from "./routes/store.ts";
import { workspaceRoutes } from "./routes/workspace.ts";
import { takeIn } from "./validate.ts";

/** Packs and manifests have bounds of their own and are never held in memory. */
const STORE_PATH = "/api/link/store/";
/** A chat client sends its history along. */
const CHAT_PATH = "/api/chat";

const base = new Hono<AppEnv>();
base.use(requestContext);
base.use(
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'self'"],
      objectSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
    referrerPolicy: "same-origin",
    xFrameOptions: "DENY",
    // This host only: its neighbours under the same domain are not ours to decide about.
    strictTransportSecurity: "max-age=15552000",
  }),
);
base.use(async (c, next) => {
  const missing = requireSecrets(c.env);
  if (missing) {
    c.var.log.error("misconfigured", { message: missing.message });
    throw new Refused(missing);
  }
  await next();
});
base.use(async (c, next) => {
  const bytes = Number(c.req.header("content-length") ?? 0);
  const maxBytes = c.req.path === CHAT_PATH ? LIMITS.chatBodyBytes : LIMITS.httpBodyBytes;
  if (bytes > maxBytes && !c.req.path.startsWith(STORE_PATH)) {
    await takeIn(c.req.raw.body);
    refuse("body_too_large", `a body may have at most ${maxBytes} bytes`);
  }
  await next();
});
base.use(refuseUndeclared);

export const app: Hono<AppEnv> = base
  .route("/healthz", healthRoutes)
  .route("/api", accountRoutes)
  .route("/api/bootstrap", bootstrapRoutes)
  .route("/api/sessions", sessionRoutes)
  .route("/api/sessions", forkRoutes)
  .route("/api/sessions", sessionSnapshotRoutes)
  .route("/api/snapshots", snapshotRoutes)
  .route("/api/sessions", workspaceRoutes)
  .route("/api/runs/queue", runQueueRoutes)
  .route("/api/runs/restore-plan", restorePlanRoutes)
  .route("/api/runs", runRoutes)
  .route(CHAT_PATH, chatRoutes)
  .route("/api/human-loop", humanLoopRoutes)
  .route("/api/hosts", hostIdentityRoutes)
  .route("/api/hosts", hostCredentialRoutes)
  .route("/api/hosts", hostRoutes)
  .route("/api/providers", providerRoutes)
  .route("/api/link", linkRoutes)
  .route("/api/link/store", storeRoutes)
  .route("/api/files", fileRoutes)
  .route("/api/files", changeRoutes)
  .route("/api/service-tokens", serviceTokenRoutes)
  .route("/api/apps", appRoutes)
  .route("/api/credentials", credentialRoutes)
  .route("/api/organization", organizationRoutes)
  .route("/api/audit", auditRoutes)
  .route("/api/reconcile", reconcileRoutes)
  .route("/api/pools", poolRoutes)
  .route(
    "/api",
    openApiRoutes(() => app),
  );

app.notFound((c) => answer(c, reject("not_found", "there is no such route")));

app.onError((error, c) => {
  if (error instanceof HTTPException && error.status < 500) return answer(c, reject("malformed", error.message));
  return answer(c, rejectionOf(c, error));
});

function answer(c: AppContext, rejection: Rejection): Response {
  const { reason, message, details } = rejection;
  const status = statusOf(reason);
  if (status === 503) c.header("retry-after", "1");
  if (status === 401) c.header("www-authenticate", 'Bearer realm="gantry"');
  return c.json({ ok: false as const, reason, message, ...(details === undefined ? {} : { details }) }, status);
}
