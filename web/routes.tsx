/** Addresses. The pages with heavy parts (Markdown, highlighting) are loaded when they are opened. */
import { createRootRoute, createRoute, createRouter, Link, lazyRouteComponent, Outlet } from "@tanstack/react-router";
import type { ScopeSearch } from "./changes/scope.ts";
import { HomePage } from "./sessions/home-page.tsx";
import { SignInPage } from "./sign-in/sign-in-page.tsx";
import { SignedInOnly } from "./sign-in/signed-in-only.tsx";
import { Button } from "./ui/button.tsx";
import { EmptyState } from "./ui/empty-state.tsx";
import { Shell } from "./ui/shell.tsx";
import { Toaster } from "./ui/toast.tsx";

const root = createRootRoute({
  component: () => (
    <>
      <Outlet />
      <Toaster />
    </>
  ),
  notFoundComponent: () => (
    <EmptyState icon="?" title="There is nothing at this address">
      <Link to="/" className="text-accent underline">
        Start page
      </Link>
    </EmptyState>
  ),
  errorComponent: ({ error, reset }) => (
    <EmptyState icon="!" title="This page failed">
      <p className="break-words">{error instanceof Error ? error.message : String(error)}</p>
      <Button className="mt-4" onClick={reset}>
        Try again
      </Button>
    </EmptyState>
  ),
});

const signIn = createRoute({ getParentRoute: () => root, path: "/sign-in", component: SignInPage });

const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  component: () => (
    <SignedInOnly>
      <Shell />
    </SignedInOnly>
  ),
});
const home = createRoute({ getParentRoute: () => app, path: "/", component: HomePage });
const session = createRoute({
  getParentRoute: () => app,
  path: "/s/$sessionId",
  component: lazyRouteComponent(() => import("./session/session-page.tsx"), "SessionPage"),
});
const files = createRoute({
  getParentRoute: () => app,
  path: "/s/$sessionId/files",
  validateSearch: (search: Record<string, unknown>): { path?: string; snapshot?: string } => ({
    ...(typeof search.path === "string" && search.path ? { path: search.path } : {}),
    ...(typeof search.snapshot === "string" && search.snapshot ? { snapshot: search.snapshot } : {}),
  }),
  component: lazyRouteComponent(() => import("./files/files-page.tsx"), "FilesPage"),
});
const words = ["scope", "run", "from", "to", "path"] as const;
const changes = createRoute({
  getParentRoute: () => app,
  path: "/s/$sessionId/changes",
  validateSearch: (search: Record<string, unknown>): ScopeSearch & { path?: string } =>
    Object.fromEntries(words.flatMap((word) => (typeof search[word] === "string" ? [[word, search[word]]] : []))),
  component: lazyRouteComponent(() => import("./changes/changes-page.tsx"), "ChangesPage"),
});
const inbox = createRoute({
  getParentRoute: () => app,
  path: "/inbox",
  component: lazyRouteComponent(() => import("./inbox/inbox-page.tsx"), "InboxPage"),
});
const hosts = createRoute({
  getParentRoute: () => app,
  path: "/hosts",
  component: lazyRouteComponent(() => import("./hosts/hosts-page.tsx"), "HostsPage"),
});

const credentials = createRoute({
  getParentRoute: () => app,
  path: "/credentials",
  component: lazyRouteComponent(() => import("./credentials/credentials-page.tsx"), "CredentialsPage"),
});

const apps = createRoute({
  getParentRoute: () => app,
  path: "/apps",
  component: lazyRouteComponent(() => import("./apps/apps-page.tsx"), "AppsPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    app.addChildren([home, session, files, changes, inbox, hosts, credentials, apps]),
  ]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
