import { Monitor, Moon, Sun } from "lucide-react";
import { IconButton } from "./button.tsx";
import { setTheme, THEMES, useTheme } from "./theme.ts";

const ICON = { system: Monitor, light: Sun, dark: Moon } as const;

/** Goes round: system, light, dark. */
export function ThemeToggle() {
  const theme = useTheme();
  const Icon = ICON[theme];
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  return (
    <IconButton label={`Theme: ${theme}. Switch to ${next}`} onClick={() => setTheme(next)}>
      <Icon size={16} />
    </IconButton>
  );
}
