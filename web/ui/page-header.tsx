import { Menu as MenuIcon } from "lucide-react";
import type { ReactNode } from "react";
import { IconButton } from "./button.tsx";
import { showOverlay } from "./overlay.ts";

/** The bar on top of every page; on phones with the way to the list of sessions. */
export function PageHeader({ children }: { children: ReactNode }) {
  return (
    <header className="flex h-13 shrink-0 items-center gap-2 border-b px-3 sm:gap-3 sm:px-5">
      <IconButton label="Sessions" className="lg:hidden" onClick={() => showOverlay("sessions")}>
        <MenuIcon size={18} />
      </IconButton>
      {children}
    </header>
  );
}
