import { Link } from "@tanstack/react-router";
import type { HostRecord } from "#protocol/http.ts";
import { Notice } from "../ui/notice.tsx";

/** Prompts are taken in all the same: they wait for a host. */
export function Setup({ hosts }: { hosts: readonly HostRecord[] }) {
  return (
    <Notice tone="warn" title={hosts.length === 0 ? "No host has joined yet" : "No host is online"}>
      <p>
        A prompt waits until one is there.{" "}
        <Link to="/hosts" className="font-medium text-accent underline underline-offset-2">
          {hosts.length === 0 ? "Add a host" : "See the hosts"}
        </Link>
      </p>
    </Notice>
  );
}
