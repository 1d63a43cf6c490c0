/** `providerOptions` by an allow-list: what a reader does not know, or does not take, is left out and named. */

/** What an option's value means for the settings; undefined when the value does not fit. */
export type OptionReader<Settings> = (value: unknown) => Partial<Settings> | undefined;
export type OptionReaders<Settings> = Readonly<Record<string, OptionReader<Settings>>>;

/** What the options ask for, later ones over earlier ones, and the names of options that were not understood. */
export function chosenOptions<Settings extends object>(
  readers: OptionReaders<Settings>,
  options: Readonly<Record<string, unknown>> = {},
): { settings: Partial<Settings>; ignored: string[] } {
  const settings: Partial<Settings> = {};
  const ignored: string[] = [];
  for (const [name, value] of Object.entries(options)) {
    const read = Object.hasOwn(readers, name) ? readers[name]?.(value) : undefined;
    if (read) Object.assign(settings, read);
    else ignored.push(name);
  }
  return { settings, ignored };
}
