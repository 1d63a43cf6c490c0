/** Draws a picture from its bytes. An <img> would need a blob: address, which `default-src 'self'` refuses. */
import { useEffect, useRef, useState } from "react";
import { Notice } from "../ui/notice.tsx";

export function PictureCanvas({ bytes, name }: { bytes: Blob; name: string }) {
  const ref = useRef<HTMLCanvasElement>(null);
  const [state, setState] = useState<{ size: string } | { broken: true }>();
  useEffect(() => {
    let wanted = true;
    createImageBitmap(bytes).then(
      (bitmap) => {
        const canvas = ref.current;
        if (!wanted || !canvas) return;
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
        canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
        setState({ size: `${bitmap.width} × ${bitmap.height}` });
      },
      () => wanted && setState({ broken: true }),
    );
    return () => {
      wanted = false;
    };
  }, [bytes]);
  if (state && "broken" in state) {
    return (
      <div className="p-4">
        <Notice tone="warn" title="This picture cannot be shown">
          <p>The file may be damaged, or of a kind that this browser does not know.</p>
        </Notice>
      </div>
    );
  }
  return (
    <figure className="flex min-h-0 flex-1 flex-col items-center gap-3 overflow-auto p-6">
      <canvas
        ref={ref}
        role="img"
        aria-label={name}
        className="max-h-full max-w-full rounded-lg border bg-surface object-contain"
      />
      <figcaption className="text-ink-soft text-xs">{state?.size}</figcaption>
    </figure>
  );
}
