import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

export function SessionLink({ sessionId, children }: { sessionId: string; children: ReactNode }) {
  return (
    <Link
      to="/s/$sessionId"
      params={{ sessionId }}
      className="font-medium text-accent underline-offset-2 hover:underline"
    >
      {children}
    </Link>
  );
}
