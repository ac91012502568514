/** Rows as aligned columns, two spaces apart, like kubectl's. Absent cells print `-`. Pure. */
export function table(
  header: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
): string {
  const lines = [
    header,
    ...rows.map((row) => row.map((cell) => (cell === undefined || cell === '' ? '-' : String(cell)))),
  ]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === line.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/**
 * `label: value` lines with the values in one column; entries without a value are left out. Pure.
 */
export function fields(
  entries: readonly (readonly [label: string, value: string | number | undefined])[],
): string {
  const shown = entries.filter(([, value]) => value !== undefined)
  const width = Math.max(0, ...shown.map(([label]) => label.length))
  return shown.map(([label, value]) => `${`${label}:`.padEnd(width + 2)}${value}`).join('\n')
}
