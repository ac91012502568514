/**
 * How `--arg` is given a text that reads as JSON: `--arg 'input="2024"'`, for a message that has
 * found a number or a boolean where a text is expected.
 */
export const textArgument = (name: string, value: unknown): string => `--arg '${name}="${String(value)}"'`
