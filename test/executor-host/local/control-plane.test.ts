import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { ControlPlane } from "../../../executor-host/local/control-plane.ts";
import { type CounterFolder, counterFolder, startCounter } from "./counter-control-plane.ts";

let folder: CounterFolder;
let control: ControlPlane;

beforeAll(async () => {
  folder = await counterFolder();
  control = await startCounter(folder);
});
afterAll(async () => {
  await control.dispose();
  await folder.remove();
});

const body = async (path: string, headers: Record<string, string> = {}) =>
  await (await fetch(`${control.url}${path}`, { headers })).text();

describe("the control plane on one machine", () => {
  it("serves the portal for every path that is not the Worker's", async () => {
    const navigation = { "sec-fetch-mode": "navigate", accept: "text/html" };
    expect(await body("/", navigation)).toBe("the portal");
    expect(await body("/sessions/ses_1", navigation)).toBe("the portal");
    expect(await body("/api/unknown", navigation)).toBe("from the worker");
  });

  it("gives secrets to the Worker", async () => {
    expect(await body("/api/secret")).toBe("a secret");
  });

  it("has applied the migrations", async () => {
    const rows = await control.query("SELECT name FROM d1_migrations ORDER BY id");
    expect(rows[0]).toEqual({ name: "0000_tables.sql" });
    expect(await control.query("SELECT ? AS answer", 42)).toEqual([{ answer: 42 }]);
  });

  it("hides Miniflare's own doors, through which every binding could be had", async () => {
    for (const path of ["platform-proxy", "scheduled", "explorer", "email"]) {
      expect(await body(`/cdn-cgi/local/${path}`, { "MF-Op": "GET", "MF-Op-Target": "env" })).toBe("the portal");
    }
    const headers = { "MF-Route-Override": "control", "MF-Original-URL": "http://localhost/api/secret" };
    expect(await body("/api/unknown", headers)).toBe("from the worker");
  });

  it("evicts an object while its sockets stay open", async () => {
    const socket = new WebSocket(`${control.url.replace("http", "ws")}/api/socket`);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const before = await body("/api/instance");
    await control.evict("SessionObject", "counter");
    const answer = new Promise((resolve) => socket.once("message", (data) => resolve(String(data))));
    socket.send("still there?");
    expect(await answer).toBe("still there?");
    expect(await body("/api/instance")).not.toBe(before);
    socket.terminate();
  });

  it("says so when there is nothing to evict", async () => {
    await expect(control.evict("NoSuchObject", "x")).rejects.toThrow("NoSuchObject");
  });

  it("fires the scheduled handler", async () => {
    await control.query("CREATE TABLE fired(cron TEXT)");
    await control.fireCron();
    expect(await control.query("SELECT cron FROM fired")).toEqual([{ cron: "* * * * *" }]);
  });
});
