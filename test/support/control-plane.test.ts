import { expect, it } from "vitest";
import { startTestControlPlane } from "./control-plane.ts";

it("starts the built Worker with an organisation and a token, and keeps its state through a crash", async () => {
  await using control = await startTestControlPlane();
  const created = await control.call("/api/sessions", { method: "POST", body: { title: "kept" } });
  expect(created.status, control.logs.join("\n")).toBe(201);
  const { session } = (await created.json()) as { session: { id: string } };
  control.killWorkerd();
  await control.evict("SessionObject", `${control.organizationId}/${session.id}`).catch(() => "not running");
  const answer = await control.call(`/api/sessions/${session.id}`);
  expect(await answer.json()).toMatchObject({ session: { id: session.id, title: "kept" } });
});
