/** Named inputs of a form, one below the other. */
import { type ComponentProps, type ReactNode, useId } from "react";
import { cx } from "./cx.ts";

const FIELD = "w-full rounded-lg border border-line-strong bg-surface px-3 py-2 pointer-coarse:min-h-11";

type FieldProps = Omit<ComponentProps<"input">, "onChange"> & { label: string; onValue: (value: string) => void };

export function Field({ label, onValue, ...input }: FieldProps) {
  const id = useId();
  return (
    <label htmlFor={id} className="flex flex-col gap-1 text-sm">
      {label}
      <input id={id} onChange={(event) => onValue(event.target.value)} className={FIELD} {...input} />
    </label>
  );
}

type TextAreaProps = Omit<ComponentProps<"textarea">, "onChange"> & { label: string; onValue: (value: string) => void };

export function TextArea({ label, onValue, className, ...area }: TextAreaProps) {
  const id = useId();
  return (
    <label htmlFor={id} className="flex flex-col gap-1 text-sm">
      {label}
      <textarea
        id={id}
        rows={3}
        onChange={(event) => onValue(event.target.value)}
        className={cx(FIELD, className)}
        {...area}
      />
    </label>
  );
}

type SelectProps<T extends string> = {
  label: string;
  value: T;
  options: readonly { value: T; text: string }[];
  onValue: (value: T) => void;
  /** What the choice means. */
  children?: ReactNode;
};

export function Select<T extends string>({ label, value, options, onValue, children }: SelectProps<T>) {
  const id = useId();
  const pick = (text: string): void => {
    const picked = options.find((option) => option.value === text);
    if (picked) onValue(picked.value);
  };
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-sm">
        {label}
      </label>
      <select id={id} value={value} onChange={(event) => pick(event.target.value)} className={FIELD}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
      {children && <p className="text-ink-soft text-xs">{children}</p>}
    </div>
  );
}
