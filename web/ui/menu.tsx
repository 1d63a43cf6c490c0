/** Radix menus without modality: arrow keys and type-ahead for free, and no scroll lock that writes a style element. */
import { DropdownMenu } from "radix-ui";
import { type ReactNode, useRef, useState } from "react";
import { cx } from "./cx.ts";

const ITEM =
  "flex w-full cursor-pointer select-none items-center gap-2.5 rounded-lg px-2.5 py-1.5 text-sm outline-none data-disabled:cursor-not-allowed data-highlighted:bg-sunken pointer-coarse:py-2.5";

export function Menu({ trigger, children, label }: { trigger: ReactNode; children: ReactNode; label: string }) {
  const place = useRef<HTMLSpanElement>(null);
  // Under a modal <dialog> all of the page is inert: a menu that was opened in one has to stay in it.
  const [container, setContainer] = useState<HTMLElement>();
  return (
    <DropdownMenu.Root
      modal={false}
      onOpenChange={(open) => open && setContainer(place.current?.closest("dialog") ?? document.body)}
    >
      <span ref={place} hidden />
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal container={container}>
        <DropdownMenu.Content
          aria-label={label}
          align="start"
          sideOffset={6}
          collisionPadding={12}
          className="arrive z-50 max-h-(--radix-dropdown-menu-content-available-height) min-w-44 max-w-[min(22rem,calc(100vw-2rem))] overflow-auto rounded-xl border border-line bg-raised p-1.5 text-ink shadow-(color:--shadow) shadow-xl"
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export function MenuItem({
  onSelect,
  children,
  danger,
}: {
  onSelect: () => void;
  children: ReactNode;
  danger?: boolean;
}) {
  return (
    <DropdownMenu.Item onSelect={onSelect} className={cx(ITEM, danger && "text-bad")}>
      {children}
    </DropdownMenu.Item>
  );
}

export const MenuRadioGroup = DropdownMenu.RadioGroup;

export function MenuRadio({ value, disabled, children }: { value: string; disabled?: boolean; children: ReactNode }) {
  return (
    <DropdownMenu.RadioItem
      value={value}
      disabled={disabled}
      className={cx(ITEM, "items-start data-[state=checked]:bg-accent-wash")}
    >
      {children}
    </DropdownMenu.RadioItem>
  );
}
