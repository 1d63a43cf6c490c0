import { useState } from "react";

const key = (place: string): string => `gantry.draft.${place}`;

/** What was typed and not sent, kept per place (a session, or the start page) over reloads and disconnects. */
export function useDraft(place: string): [string, (text: string) => void] {
  const [draft, setDraft] = useState({ place, text: localStorage.getItem(key(place)) ?? "" });
  const text = draft.place === place ? draft.text : (localStorage.getItem(key(place)) ?? "");
  return [
    text,
    (next) => {
      setDraft({ place, text: next });
      if (next) localStorage.setItem(key(place), next);
      else localStorage.removeItem(key(place));
    },
  ];
}
