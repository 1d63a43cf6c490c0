/**
 * D1: the record that people query. Two kinds of tables:
 *
 *   owned by the worker      organisations, people, tokens, hosts: D1 is the truth
 *   index of the objects     sessions, runs, human_loop, snapshots: an object's outbox upserts them at least once; a row
 *                            is replaced only by a larger `version` (the session's seq), so late and double deliveries
 *                            are harmless. They may lag and never decide.
 *
 * Tenancy is part of every key of the index tables: an upsert of one organisation can never reach a row of another.
 * Times are milliseconds since 1970, server time. Secrets are never stored, only their SHA-256 as 64 hex digits.
 */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { RuntimeDefaults } from "../durable/protocol/apps.ts";
import type { Usage } from "../durable/protocol/events.ts";
import {
  CREDENTIAL_KINDS,
  FAILURE_REASONS,
  HOST_STATUSES,
  HUMAN_LOOP_KINDS,
  OUTCOMES,
  PROVIDERS,
  RESOLUTIONS,
  RUN_STATES,
  VM_MODES,
  WORKER_STATES,
} from "../durable/protocol/vocabulary.ts";

export const ROLES = ["owner", "admin", "member"] as const;
export type Role = (typeof ROLES)[number];

const id = () => text("id").notNull();
const organizationId = () => text("organization_id").notNull();
const tokenHash = () => text("token_hash").primaryKey();
const createdAt = () => integer("created_at").notNull();
const expiresAt = () => integer("expires_at").notNull();
const version = () => integer("version").notNull();

/* ── owned by the worker ───────────────────────────────────────────────────────────────────────────────────── */

export const organizations = sqliteTable("organizations", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  defaultVmMode: text("default_vm_mode", { enum: VM_MODES }).notNull().default("docker"),
  defaultProvider: text("default_provider", { enum: PROVIDERS }).notNull().default("scripted"),
  /** Bytes in the store, instead of LIMITS; null: those. */
  sessionStoreBytes: integer("session_store_bytes"),
  organizationStoreBytes: integer("organization_store_bytes"),
  createdAt: createdAt(),
});

/** A person, who may belong to several organisations: the one table without an organisation. */
export const users = sqliteTable("users", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  email: text("email").unique(),
  createdAt: createdAt(),
});

export const memberships = sqliteTable(
  "memberships",
  {
    organizationId: organizationId().references(() => organizations.id),
    userId: text("user_id")
      .notNull()
      .references(() => users.id),
    role: text("role", { enum: ROLES }).notNull(),
    createdAt: createdAt(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.userId] }),
    index("memberships_by_user").on(table.userId, table.organizationId),
  ],
);

export const browserSessions = sqliteTable(
  "browser_sessions",
  {
    tokenHash: tokenHash(),
    organizationId: organizationId(),
    userId: text("user_id")
      .notNull()
      .references(() => users.id),
    createdAt: createdAt(),
    expiresAt: expiresAt(),
  },
  (table) => [
    index("browser_sessions_by_user").on(table.organizationId, table.userId),
    index("browser_sessions_by_expiry").on(table.expiresAt),
  ],
);

export const signInLinks = sqliteTable(
  "sign_in_links",
  {
    tokenHash: tokenHash(),
    organizationId: organizationId(),
    userId: text("user_id")
      .notNull()
      .references(() => users.id),
    createdAt: createdAt(),
    expiresAt: expiresAt(),
    usedAt: integer("used_at"),
  },
  (table) => [index("sign_in_links_by_expiry").on(table.expiresAt)],
);

export const serviceTokens = sqliteTable(
  "service_tokens",
  {
    id: text("id").primaryKey(),
    tokenHash: text("token_hash").notNull().unique(),
    organizationId: organizationId().references(() => organizations.id),
    name: text("name").notNull(),
    role: text("role", { enum: ROLES }).notNull(),
    /** Who made it: a user's or a service token's id, or `bootstrap`. */
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    lastUsedAt: integer("last_used_at"),
    revokedAt: integer("revoked_at"),
  },
  (table) => [index("service_tokens_by_organization").on(table.organizationId, table.createdAt)],
);

export const hosts = sqliteTable(
  "hosts",
  {
    id: text("id").primaryKey(),
    organizationId: organizationId().references(() => organizations.id),
    pool: text("pool").notNull(),
    name: text("name").notNull(),
    /** The `x` of its Ed25519 JWK; joining again with the same key is the same host. */
    publicKey: text("public_key").notNull(),
    status: text("status", { enum: HOST_STATUSES }).notNull().default("pending"),
    createdAt: createdAt(),
    lastSeenAt: integer("last_seen_at"),
    /** Removed by a person. The row stays, so that the host can be told instead of ignored. */
    revokedAt: integer("revoked_at"),
    /** Its P-256 public key as JWK, which credentials are sealed to; null until it has connected with one. */
    encryptionKey: text("encryption_key"),
  },
  (table) => [
    uniqueIndex("hosts_by_public_key").on(table.organizationId, table.publicKey),
    index("hosts_by_organization").on(table.organizationId, table.pool, table.name),
  ],
);

export const joinTokens = sqliteTable(
  "join_tokens",
  {
    tokenHash: tokenHash(),
    organizationId: organizationId(),
    pool: text("pool").notNull(),
    name: text("name"),
    createdAt: createdAt(),
    expiresAt: expiresAt(),
    usedAt: integer("used_at"),
    usedByHostId: text("used_by_host_id"),
  },
  (table) => [index("join_tokens_by_expiry").on(table.expiresAt)],
);

/** The `jti` of every host assertion that was taken, until it would have expired anyway: none is taken twice. */
export const usedAssertions = sqliteTable(
  "used_assertions",
  {
    organizationId: organizationId(),
    hostId: text("host_id").notNull(),
    jti: text("jti").notNull(),
    expiresAt: expiresAt(),
  },
  (table) => [
    primaryKey({ columns: [table.hostId, table.jti] }),
    index("used_assertions_by_expiry").on(table.expiresAt),
  ],
);

/** A prepared way to work: what its runs begin with, and where its workers may go. */
export const apps = sqliteTable(
  "apps",
  {
    id: text("id").primaryKey(),
    organizationId: organizationId().references(() => organizations.id),
    /** Unique in the organisation; good as an `executionProfile`, too. */
    name: text("name").notNull(),
    description: text("description").notNull().default(""),
    /** `private`: for whoever registered it, and administrators. */
    visibility: text("visibility", { enum: ["organization", "private"] })
      .notNull()
      .default("organization"),
    /** Null: the organisation's default. */
    vmMode: text("vm_mode", { enum: VM_MODES }),
    runtimeDefaults: text("runtime_defaults", { mode: "json" }).$type<RuntimeDefaults>().notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    updatedAt: integer("updated_at").notNull(),
    /** Gone for whoever begins something; the sessions that were made with it keep its rules, so the row stays. */
    deletedAt: integer("deleted_at"),
  },
  (table) => [uniqueIndex("apps_by_name").on(table.organizationId, table.name).where(sql`deleted_at is null`)],
);

/** Which app a session was made with; it decides over the session's network and credentials for as long as it lives. */
export const sessionApps = sqliteTable(
  "session_apps",
  {
    organizationId: organizationId(),
    sessionId: text("session_id").notNull(),
    appId: text("app_id")
      .notNull()
      .references(() => apps.id),
  },
  (table) => [primaryKey({ columns: [table.organizationId, table.sessionId] })],
);

/** Keys of model vendors and other services. The value is sealed (worker/credentials/at-rest.ts) and never answered. */
export const credentials = sqliteTable(
  "credentials",
  {
    id: text("id").primaryKey(),
    organizationId: organizationId().references(() => organizations.id),
    /** For sessions of this app alone; null: for every session of the organisation. */
    appId: text("app_id").references(() => apps.id),
    kind: text("kind", { enum: CREDENTIAL_KINDS }).notNull(),
    name: text("name").notNull(),
    /** Where the value may be sent, when it is not the vendor's own address. */
    baseUrl: text("base_url"),
    /** Of kind `header`: which one. */
    header: text("header"),
    /** Null after it was revoked: then nothing is left to open. */
    sealed: text("sealed"),
    /** Its last characters, for people to tell one from another. */
    hint: text("hint").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    rotatedAt: integer("rotated_at"),
    lastUsedAt: integer("last_used_at"),
    revokedAt: integer("revoked_at"),
  },
  (table) => [index("credentials_by_organization").on(table.organizationId, table.createdAt)],
);

/** Append-only: triggers refuse every change (see the second migration). */
export const audit = sqliteTable(
  "audit",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    at: integer("at").notNull(),
    organizationId: organizationId(),
    actorId: text("actor_id").notNull(),
    actorName: text("actor_name").notNull(),
    /** `hosts.remove`, `files.read`, …: what was asked. */
    action: text("action").notNull(),
    target: text("target").notNull(),
    allowed: integer("allowed", { mode: "boolean" }).notNull(),
    reason: text("reason"),
    traceId: text("trace_id").notNull(),
  },
  (table) => [
    index("audit_by_organization").on(table.organizationId, table.id),
    index("audit_by_target").on(table.organizationId, table.target, table.id),
  ],
);

/** Which sessions a credential has opened sockets to: revoking it closes them. */
export const openedSockets = sqliteTable(
  "opened_sockets",
  {
    organizationId: organizationId().references(() => organizations.id),
    /** A service token's id, or the hash of a browser session. */
    credential: text("credential").notNull(),
    sessionId: text("session_id").notNull(),
    openedAt: integer("opened_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.organizationId, table.credential, table.sessionId] })],
);

/** How far the sweeps of an organisation have come (worker/reconcile/), so that each tick goes on where the last one stopped. */
export const sweeps = sqliteTable(
  "sweeps",
  {
    organizationId: organizationId().references(() => organizations.id),
    /** `sessions`, `unfinished`, or `pool:<name>`. */
    name: text("name").notNull(),
    /** The last session id that was looked at; empty at the end of a round. */
    cursor: text("cursor").notNull(),
    at: integer("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.organizationId, table.name] })],
);

/* ── index of what the objects know ────────────────────────────────────────────────────────────────────────── */

export const sessions = sqliteTable(
  "sessions",
  {
    id: id(),
    organizationId: organizationId(),
    title: text("title").notNull(),
    provider: text("provider", { enum: PROVIDERS }).notNull(),
    vmMode: text("vm_mode", { enum: VM_MODES }).notNull(),
    createdById: text("created_by_id").notNull(),
    createdByName: text("created_by_name").notNull(),
    createdAt: createdAt(),
    updatedAt: integer("updated_at").notNull(),
    /** The active run's state, `queued` when runs only wait, else `idle`. */
    activity: text("activity", { enum: ["idle", ...RUN_STATES] })
      .notNull()
      .default("idle"),
    needsAttention: integer("needs_attention", { mode: "boolean" }).notNull().default(false),
    workerState: text("worker_state", { enum: WORKER_STATES }).notNull().default("cold"),
    deleted: integer("deleted", { mode: "boolean" }).notNull().default(false),
    version: version(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    index("sessions_by_update").on(table.organizationId, table.deleted, table.updatedAt, table.id),
  ],
);

export const runs = sqliteTable(
  "runs",
  {
    id: id(),
    organizationId: organizationId(),
    sessionId: text("session_id").notNull(),
    state: text("state", { enum: RUN_STATES }).notNull(),
    outcome: text("outcome", { enum: OUTCOMES }),
    reason: text("reason", { enum: FAILURE_REASONS }),
    evidence: text("evidence"),
    provider: text("provider", { enum: PROVIDERS }).notNull(),
    model: text("model"),
    attempts: integer("attempts").notNull(),
    usage: text("usage", { mode: "json" }).$type<Usage>(),
    queuedAt: integer("queued_at").notNull(),
    startedAt: integer("started_at"),
    finishedAt: integer("finished_at"),
    version: version(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    index("runs_by_session").on(table.organizationId, table.sessionId, table.queuedAt),
    index("runs_by_time").on(table.organizationId, table.queuedAt),
    index("runs_by_state").on(table.organizationId, table.state, table.queuedAt),
  ],
);

export const humanLoop = sqliteTable(
  "human_loop",
  {
    id: id(),
    organizationId: organizationId(),
    sessionId: text("session_id").notNull(),
    runId: text("run_id").notNull(),
    kind: text("kind", { enum: HUMAN_LOOP_KINDS }).notNull(),
    title: text("title").notNull(),
    detail: text("detail", { mode: "json" }).$type<Record<string, unknown>>().notNull(),
    options: text("options", { mode: "json" }).$type<{ id: string; label: string; description?: string }[]>().notNull(),
    multiple: integer("multiple", { mode: "boolean" }).notNull().default(false),
    rule: text("rule"),
    requestedAt: integer("requested_at").notNull(),
    answerWithinMs: integer("answer_within_ms"),
    expiresAt: integer("expires_at"),
    resolvedAt: integer("resolved_at"),
    resolution: text("resolution", { enum: RESOLUTIONS }),
    resolvedById: text("resolved_by_id"),
    resolvedByName: text("resolved_by_name"),
    version: version(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    index("human_loop_pending").on(table.organizationId, table.resolvedAt, table.requestedAt),
    index("human_loop_by_session").on(table.organizationId, table.sessionId, table.requestedAt),
  ],
);

export const snapshots = sqliteTable(
  "snapshots",
  {
    id: id(),
    organizationId: organizationId(),
    sessionId: text("session_id").notNull(),
    files: integer("files").notNull(),
    bytes: integer("bytes").notNull(),
    createdAt: createdAt(),
    parent: text("parent"),
    /** The run that was under way or had just ended; null before every run. */
    runId: text("run_id"),
    /** The host that handed it in after it had lost its lease; null: one of the session's own line. */
    keptFrom: text("kept_from"),
    /** Given up by the sweep of the store, which alone writes it; content goes soon after. */
    prunedAt: integer("pruned_at"),
    version: version(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    index("snapshots_by_session").on(table.organizationId, table.sessionId, table.createdAt),
  ],
);

/* ── the store's own books, owned by the worker ────────────────────────────────────────────────────────────── */

/** Who wants a snapshot kept, whatever its age: "people", or the id of a change set. */
export const snapshotPins = sqliteTable(
  "snapshot_pins",
  {
    organizationId: organizationId(),
    snapshotId: text("snapshot_id").notNull(),
    sessionId: text("session_id").notNull(),
    holder: text("holder").notNull(),
    createdByName: text("created_by_name").notNull(),
    createdAt: createdAt(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.snapshotId, table.holder] }),
    index("snapshot_pins_by_session").on(table.organizationId, table.sessionId),
  ],
);

/** A session's part of the store: made before its first object, gone after its last. */
export const storeShelves = sqliteTable(
  "store_shelves",
  {
    organizationId: organizationId(),
    sessionId: text("session_id").notNull(),
    /** Packs, as reserved by uploads and counted by each sweep. */
    bytes: integer("bytes").notNull(),
    /** 0: never. */
    sweptAt: integer("swept_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.sessionId] }),
    index("store_shelves_by_sweep").on(table.sweptAt),
  ],
);

/** Objects that nothing needs: since when, and since when a sweep is about to remove them (worker/store/sweep.ts). */
export const condemnedObjects = sqliteTable(
  "condemned_objects",
  {
    organizationId: organizationId(),
    sessionId: text("session_id").notNull(),
    /** "packs/…" or "snapshots/…". */
    name: text("name").notNull(),
    since: integer("since").notNull(),
    claimedAt: integer("claimed_at"),
  },
  (table) => [primaryKey({ columns: [table.organizationId, table.sessionId, table.name] })],
);
