/**
 * What an agent's file may be called when a browser gets it from the portal's own origin. Nothing that a browser would
 * run, or lay out as a page, keeps its type: HTML, SVG, XML and scripts are text.
 */
const SHOWN: Record<string, string> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
  mp3: "audio/mpeg",
  wav: "audio/wav",
  ogg: "audio/ogg",
  mp4: "video/mp4",
  webm: "video/webm",
};
const BINARY = new Set(
  "pdf zip gz tgz zst xz bz2 7z rar tar jar war wasm exe dll so dylib a o bin iso dmg class pyc sqlite db woff woff2 ttf otf eot doc docx xls xlsx ppt pptx".split(
    " ",
  ),
);

/** Type and disposition for a file of that name; `inline` asks to show it, which only pictures, sound and text get. */
export function contentTypeOf(name: string, inline: boolean): { type: string; disposition: "inline" | "attachment" } {
  const extension = /\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  const shown = Object.hasOwn(SHOWN, extension) ? SHOWN[extension] : undefined;
  if (BINARY.has(extension)) return { type: "application/octet-stream", disposition: "attachment" };
  return { type: shown ?? "text/plain; charset=utf-8", disposition: inline ? "inline" : "attachment" };
}

/** Headers for every byte of a workspace that leaves under the portal's origin. */
export function fileHeaders(name: string, inline: boolean): Record<string, string> {
  const { type, disposition } = contentTypeOf(name, inline);
  return {
    "content-type": type,
    "content-disposition": contentDisposition(disposition, name),
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, max-age=0, must-revalidate",
  };
}

/** RFC 6266: a plain name for old readers, the real one in UTF-8. */
export function contentDisposition(kind: "inline" | "attachment", name: string): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const real = encodeURIComponent(name).replace(
    /['()*!]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}; filename="${plain}"; filename*=UTF-8''${real}`;
}
