/** A tree by the keys of the ARIA pattern: arrows move and open, Enter shows. Folders are asked for when they are opened. */
import { ChevronRight, Download, File, Folder, FolderOpen, Link2 } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import type { FileEntry } from "#protocol/http.ts";
import { downloadUrl, type FilePlace } from "../api.ts";
import { byteSize } from "../format.ts";
import { cx } from "../ui/cx.ts";
import { useFolder } from "./file-queries.ts";

type Props = {
  place: FilePlace;
  root: readonly FileEntry[];
  selected: string | undefined;
  onOpen: (path: string) => void;
};

export function FileTree({ place, root, selected, onOpen }: Props) {
  const [expanded, setExpanded] = useState<ReadonlySet<string>>(() => new Set(parentsOf(selected)));
  const [focused, setFocused] = useState(selected ?? root[0]?.path);
  const toggle = (path: string): void => {
    const next = new Set(expanded);
    if (!next.delete(path)) next.add(path);
    setExpanded(next);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=treeitem]")];
    const at = items.findIndex((item) => item.dataset.path === focused);
    const item = items[at];
    if (!item || event.metaKey || event.ctrlKey || event.altKey) return;
    const open = item.getAttribute("aria-expanded");
    const path = item.dataset.path ?? "";
    if (event.key === "ArrowDown") items[at + 1]?.focus();
    else if (event.key === "ArrowUp") items[at - 1]?.focus();
    else if (event.key === "Home") items[0]?.focus();
    else if (event.key === "End") items.at(-1)?.focus();
    else if (event.key === "ArrowRight" && open === "false") toggle(path);
    else if (event.key === "ArrowRight" && open === "true") items[at + 1]?.focus();
    else if (event.key === "ArrowLeft" && open === "true") toggle(path);
    else if (event.key === "ArrowLeft") items.find((each) => each.dataset.path === parentsOf(path).at(-1))?.focus();
    else if (event.key === "Enter" || event.key === " ") item.click();
    else return;
    event.preventDefault();
  };
  return (
    <div role="tree" data-testid="file-tree" aria-label="Files" onKeyDown={onKeyDown}>
      <Entries entries={root} level={1} {...{ place, expanded, selected, focused, toggle, onOpen, setFocused }} />
    </div>
  );
}

type EntriesProps = Omit<Props, "root"> & {
  entries: readonly FileEntry[];
  level: number;
  expanded: ReadonlySet<string>;
  focused: string | undefined;
  toggle: (path: string) => void;
  setFocused: (path: string) => void;
};

function Entries({ entries, ...rest }: EntriesProps) {
  return entries.map((entry) => <Entry key={entry.path} entry={entry} {...rest} />);
}

function Entry({ entry, ...rest }: Omit<EntriesProps, "entries"> & { entry: FileEntry }) {
  const { place, level, expanded, selected, focused, toggle, onOpen, setFocused } = rest;
  const isFolder = entry.kind === "directory";
  const open = isFolder && expanded.has(entry.path);
  const Icon = isFolder ? (open ? FolderOpen : Folder) : entry.kind === "link" ? Link2 : File;
  return (
    <div role="none">
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the tree's */}
      <div
        role="treeitem"
        aria-level={level}
        aria-expanded={isFolder ? open : undefined}
        aria-selected={entry.path === selected}
        aria-label={entry.name}
        data-path={entry.path}
        tabIndex={entry.path === focused ? 0 : -1}
        onFocus={() => setFocused(entry.path)}
        onClick={() => (isFolder ? toggle(entry.path) : onOpen(entry.path))}
        style={{ paddingInlineStart: `${(level - 1) * 0.95 + 0.4}rem` }}
        className={cx(
          "group/entry flex h-8 items-center gap-1.5 rounded-lg pe-1.5 text-sm -outline-offset-2 hover:bg-line/50 pointer-coarse:h-11",
          entry.path === selected && "bg-accent-wash hover:bg-accent-wash",
        )}
      >
        <ChevronRight
          size={14}
          className={cx("shrink-0 text-ink-soft transition-transform", open && "rotate-90", !isFolder && "invisible")}
          aria-hidden
        />
        <Icon size={15} className={cx("shrink-0", isFolder ? "text-accent" : "text-ink-soft")} aria-hidden />
        <span className="min-w-0 flex-1 truncate">{entry.name}</span>
        {isFolder ? (
          <a
            href={downloadUrl({ ...place, path: entry.path })}
            download
            tabIndex={-1}
            aria-label={`Download ${entry.name} as zip`}
            title="Download as zip"
            onClick={(event) => event.stopPropagation()}
            className="rounded p-1 text-ink-soft opacity-0 hover:text-ink focus:opacity-100 group-hover/entry:opacity-100 group-focus/entry:opacity-100 pointer-coarse:opacity-100"
          >
            <Download size={13} />
          </a>
        ) : (
          <span className="shrink-0 text-ink-soft text-xs tabular-nums">{byteSize(entry.size)}</span>
        )}
      </div>
      {open && <SubFolder path={entry.path} {...rest} level={level + 1} />}
    </div>
  );
}

function SubFolder({ path, ...rest }: Omit<EntriesProps, "entries"> & { path: string }) {
  const folder = useFolder({ ...rest.place, path });
  if (folder.error) return <p className="px-3 py-1 text-bad text-xs">{folder.error.message}</p>;
  if (!folder.data) return <p className="breathe px-8 py-1 text-ink-soft text-xs">Loading…</p>;
  if (folder.data.entries.length === 0) return <p className="px-8 py-1 text-ink-soft text-xs">Empty</p>;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a group of a tree, not of a form
    <div role="group">
      <Entries entries={folder.data.entries} {...rest} />
    </div>
  );
}

/** "a/b/c" → ["a", "a/b"]. */
function parentsOf(path: string | undefined): string[] {
  const names = path?.split("/").slice(0, -1) ?? [];
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}
