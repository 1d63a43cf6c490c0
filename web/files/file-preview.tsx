import { Download } from "lucide-react";
import type { ReactNode } from "react";
import { downloadUrl, type FilePlace } from "../api.ts";
import { byteSize } from "../format.ts";
import { CopyButton } from "../ui/copy-button.tsx";
import { HighlightedCode } from "../ui/highlighted-code.tsx";
import { Notice } from "../ui/notice.tsx";
import { type Preview, useFolder, usePreview } from "./file-queries.ts";
import { PictureCanvas } from "./picture-canvas.tsx";

export function FilePreview({ place }: { place: FilePlace & { path: string } }) {
  const parent = place.path.includes("/") ? place.path.slice(0, place.path.lastIndexOf("/")) : undefined;
  const folder = useFolder({ ...place, path: parent });
  const entry = folder.data?.entries.find((each) => each.path === place.path);
  const preview = usePreview(place, entry);
  const text = preview.data?.kind === "text" ? preview.data.text : undefined;
  const missing = folder.data && !entry;
  return (
    <section data-testid="file-preview" aria-label={place.path} className="flex min-h-0 flex-1 flex-col">
      <header className="flex items-center gap-2 border-b px-4 py-1.5">
        <h2 className="min-w-0 flex-1 truncate font-mono text-[0.8125rem]" title={place.path}>
          {place.path}
        </h2>
        {entry && <span className="shrink-0 text-ink-soft text-xs">{byteSize(entry.size)}</span>}
        {text !== undefined && <CopyButton text={text} label="Copy file" />}
        <a
          data-testid="download"
          href={downloadUrl(place)}
          download
          aria-label={`Download ${place.path}`}
          title="Download"
          className="grid size-8 place-items-center rounded-lg text-ink-soft hover:bg-line/60 hover:text-ink pointer-coarse:size-10"
        >
          <Download size={16} />
        </a>
      </header>
      {missing && <Message>This file is not in this snapshot.</Message>}
      {(preview.error ?? folder.error) && (
        <div className="p-4">
          <Notice tone="bad" title={(preview.error ?? folder.error)?.message ?? ""} />
        </div>
      )}
      {preview.data && <Content preview={preview.data} name={place.path} />}
    </section>
  );
}

function Content({ preview, name }: { preview: Preview; name: string }) {
  switch (preview.kind) {
    case "text":
      return preview.text === "" ? (
        <Message>The file is empty.</Message>
      ) : (
        <HighlightedCode
          code={preview.text.replace(/\n$/, "")}
          name={name}
          numbers
          className="min-h-0 flex-1 py-3 pe-4 -outline-offset-2"
        />
      );
    case "image":
      return <PictureCanvas bytes={preview.bytes} name={name} />;
    case "binary":
      return <Message>This is not text. Download it to look at it.</Message>;
    case "large":
      return <Message>This file is too large to show here. Download it to look at it.</Message>;
    case "link":
      return (
        <Message>
          A link to <code className="font-mono">{preview.target}</code>
        </Message>
      );
    default:
      return preview satisfies never;
  }
}

function Message({ children }: { children: ReactNode }) {
  return <p className="m-auto px-6 py-10 text-center text-ink-soft text-sm">{children}</p>;
}
