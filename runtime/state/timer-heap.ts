/** A binary min-heap by time; entries of one time come out in the order in which they went in. */
export class TimerHeap<T extends { readonly time: number }> {
  #nodes: { readonly entry: T; readonly order: number }[] = []
  #order = 0

  get size(): number {
    return this.#nodes.length
  }

  peek(): T | undefined {
    return this.#nodes[0]?.entry
  }

  push(entry: T): void {
    this.#nodes.push({ entry, order: this.#order++ })
    let at = this.#nodes.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  pop(): T | undefined {
    const top = this.#nodes[0]
    const last = this.#nodes.pop()
    if (top === undefined || last === undefined || top === last) return top?.entry
    this.#nodes[0] = last
    this.#sink()
    return top.entry
  }

  clear(): void {
    this.#nodes = []
  }

  #sink(): void {
    const size = this.#nodes.length
    for (let at = 0; ;) {
      const left = 2 * at + 1
      if (left >= size) return
      const least = left + 1 < size && this.#isBefore(left + 1, left) ? left + 1 : left
      if (!this.#isBefore(least, at)) return
      this.#swap(at, least)
      at = least
    }
  }

  #isBefore(a: number, b: number): boolean {
    const x = this.#nodes[a]!
    const y = this.#nodes[b]!
    return x.entry.time < y.entry.time || (x.entry.time === y.entry.time && x.order < y.order)
  }

  #swap(a: number, b: number): void {
    const node = this.#nodes[a]!
    this.#nodes[a] = this.#nodes[b]!
    this.#nodes[b] = node
  }
}
