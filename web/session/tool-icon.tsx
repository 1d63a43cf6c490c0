import {
  FilePen,
  FilePlus2,
  FileText,
  Globe,
  ListTodo,
  type LucideIcon,
  MessageCircleQuestion,
  Search,
  Terminal,
  Users,
  Wrench,
} from "lucide-react";
import type { ToolKind } from "./tool-summary.ts";

const ICON: Readonly<Record<ToolKind, LucideIcon>> = {
  run: Terminal,
  read: FileText,
  write: FilePlus2,
  edit: FilePen,
  search: Search,
  web: Globe,
  task: Users,
  todo: ListTodo,
  ask: MessageCircleQuestion,
  other: Wrench,
};

export function ToolIcon({ kind }: { kind: ToolKind }) {
  const Icon = ICON[kind];
  return <Icon size={15} className="shrink-0 text-ink-soft" aria-hidden />;
}
