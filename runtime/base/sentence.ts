/** With a full stop, unless it has an end. */
export const sentence = (text: string): string => (/[.!?]$/.test(text.trimEnd()) ? text : `${text}.`)
