export function HowToGetALink() {
  return (
    <div className="mt-6 border-t pt-5 text-start text-sm">
      <h2 className="font-medium">How to get a link</h2>
      <ul className="mt-2 flex list-disc flex-col gap-2 ps-5 text-ink-soft">
        <li>
          Gantry runs on your own machine: the terminal in which it was started shows a link. Start it again with{" "}
          <code className="rounded bg-sunken px-1 py-0.5 font-mono text-ink">npm start</code> for a new one.
        </li>
        <li>Somebody else runs it: ask an administrator for a link.</li>
      </ul>
    </div>
  );
}
