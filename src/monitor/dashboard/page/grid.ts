import { h, setAttribute, setClass, setText } from "./dom.ts";

export interface Column<T> {
  readonly label: string;
  /** Width as CSS `grid-template-columns` takes it. */
  readonly width: string;
  readonly align?: "left" | "right";
  readonly text: (item: T) => string;
  readonly tone?: (item: T) => string;
  /** Value to sort by; left out, the column is not sorted by. */
  readonly sort?: (item: T) => number | string;
}

export interface GridOptions<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly key: (item: T) => number;
  readonly onOpen: (item: T) => void;
  /** Other rows are in sight. */
  readonly onScroll: () => void;
  readonly empty: string;
}

const ROW_PX = 28;
const SPARE_ROWS = 4;
/** As many rows are drawn at most, and looked at by the server. */
const DRAWN_MAX = 100;

let grids = 0;

/** A table of any length of which only what is in sight is drawn. One stop of the tab key; arrows move within. */
export class Grid<T> {
  readonly element: HTMLElement;
  readonly #options: GridOptions<T>;
  readonly #scroller: HTMLElement;
  readonly #body: HTMLElement;
  readonly #empty: HTMLElement;
  readonly #heads: HTMLElement[] = [];
  readonly #drawn: { row: HTMLElement; cells: HTMLElement[] }[] = [];
  readonly #id: string;
  #items: readonly T[] = [];
  #given: readonly T[] = [];
  #active = -1;
  #opened: number | null = null;
  #sort: { column: number; down: boolean } | null = null;

  constructor(options: GridOptions<T>) {
    this.#options = options;
    grids += 1;
    this.#id = `grid-${grids}`;
    const template = options.columns.map(({ width }) => width).join(" ");
    const head = h("div", { role: "row", class: "grid-row grid-head", "aria-rowindex": 1 });
    for (const [at, column] of options.columns.entries()) {
      const cell = h("div", { role: "columnheader", class: column.align === "right" ? "num" : "" });
      if (column.sort === undefined) cell.append(column.label);
      else {
        const button = h("button", { type: "button", class: "sort", tabindex: -1 }, column.label);
        button.addEventListener("click", () => this.#sortBy(at));
        cell.append(button);
        cell.setAttribute("aria-sort", "none");
      }
      this.#heads.push(cell);
      head.append(cell);
    }
    this.#body = h("div", { role: "rowgroup", class: "grid-body" });
    this.#empty = h("p", { class: "empty" }, options.empty);
    this.#scroller = h(
      "div",
      {
        role: "grid",
        class: "grid",
        tabindex: 0,
        "aria-label": options.label,
        "aria-colcount": options.columns.length,
      },
      h("div", { role: "rowgroup", class: "grid-heads" }, head),
      this.#body,
    );
    this.#scroller.style.setProperty("--columns", template);
    this.element = h("div", { class: "grid-frame" }, this.#scroller, this.#empty);
    this.#scroller.addEventListener("scroll", () => options.onScroll(), { passive: true });
    this.#scroller.addEventListener("keydown", (event) => this.#onKey(event));
    this.#body.addEventListener("click", (event) => this.#onClick(event));
    new ResizeObserver(() => options.onScroll()).observe(this.#scroller);
  }

  /** Keys of the rows in sight and a few around them. */
  get visible(): T[] {
    const [from, to] = this.#window();
    return this.#items.slice(from, to);
  }

  set items(items: readonly T[]) {
    this.#given = items;
    this.#order();
  }

  /** The row that is shown in full beside the table. */
  set opened(key: number | null) {
    this.#opened = key;
  }

  render(): void {
    const { columns, key } = this.#options;
    const [from, to] = this.#window();
    this.#empty.hidden = this.#items.length > 0;
    setAttribute(this.#scroller, "aria-rowcount", String(this.#items.length + 1));
    const height = `${this.#items.length * ROW_PX}px`;
    if (this.#body.style.height !== height) this.#body.style.height = height;
    while (this.#drawn.length < to - from) this.#draw();
    while (this.#drawn.length > to - from) this.#drawn.pop()?.row.remove();
    for (const [at, { row, cells }] of this.#drawn.entries()) {
      const index = from + at;
      const item = this.#items[index];
      if (item === undefined) continue;
      const top = `${index * ROW_PX}px`;
      if (row.style.top !== top) row.style.top = top;
      setAttribute(row, "aria-rowindex", String(index + 2));
      setAttribute(row, "id", `${this.#id}-${key(item)}`);
      setAttribute(row, "data-index", String(index));
      setAttribute(row, "aria-selected", key(item) === this.#opened ? "true" : "false");
      setClass(row, index === this.#active ? "grid-row active" : "grid-row");
      for (const [column, cell] of cells.entries()) {
        const { text, tone, align } = columns[column] ?? columns[0] ?? { text: () => "" };
        setText(cell, text(item));
        setClass(cell, `${align === "right" ? "num" : ""} ${tone?.(item) ?? ""}`.trim());
      }
    }
    const active = this.#items[this.#active];
    if (active === undefined) this.#scroller.removeAttribute("aria-activedescendant");
    else setAttribute(this.#scroller, "aria-activedescendant", `${this.#id}-${key(active)}`);
  }

  #draw(): void {
    const cells = this.#options.columns.map(() => h("div", { role: "gridcell" }));
    const row = h("div", { role: "row", class: "grid-row" }, ...cells);
    this.#body.append(row);
    this.#drawn.push({ row, cells });
  }

  #window(): [from: number, to: number] {
    const { scrollTop, clientHeight } = this.#scroller;
    const from = Math.max(Math.floor(scrollTop / ROW_PX) - SPARE_ROWS, 0);
    const room = Math.ceil(clientHeight / ROW_PX) + 2 * SPARE_ROWS;
    return [from, Math.min(from + Math.min(room, DRAWN_MAX), this.#items.length)];
  }

  #order(): void {
    const chosen = this.#sort;
    const by = chosen === null ? undefined : this.#options.columns[chosen.column]?.sort;
    if (chosen === null || by === undefined) this.#items = this.#given;
    else {
      const sign = chosen.down ? -1 : 1;
      this.#items = [...this.#given].sort((a, b) => {
        const [left, right] = [by(a), by(b)];
        return left === right ? 0 : left < right ? -sign : sign;
      });
    }
    this.#active = Math.min(this.#active, this.#items.length - 1);
  }

  #sortBy(column: number): void {
    const was = this.#sort;
    if (was?.column !== column) this.#sort = { column, down: false };
    else this.#sort = was.down ? null : { column, down: true };
    for (const [at, head] of this.#heads.entries()) {
      if (!head.hasAttribute("aria-sort")) continue;
      const isBy = this.#sort?.column === at;
      head.setAttribute("aria-sort", !isBy ? "none" : this.#sort?.down ? "descending" : "ascending");
    }
    this.#order();
    this.#options.onScroll();
  }

  #onKey(event: KeyboardEvent): void {
    const page = Math.max(Math.floor(this.#scroller.clientHeight / ROW_PX) - 2, 1);
    const last = this.#items.length - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: this.#active + 1,
      ArrowUp: this.#active - 1,
      PageDown: this.#active + page,
      PageUp: this.#active - page,
      Home: 0,
      End: last,
    };
    const to = moves[event.key];
    const item = this.#items[this.#active];
    if (to !== undefined) {
      this.#active = Math.min(Math.max(to, 0), last);
      this.#reveal();
    } else if ((event.key === "Enter" || event.key === " ") && item !== undefined) this.#options.onOpen(item);
    else return;
    event.preventDefault();
    this.#options.onScroll();
  }

  #reveal(): void {
    const top = this.#active * ROW_PX;
    const room = this.#scroller.clientHeight - 2 * ROW_PX;
    if (top < this.#scroller.scrollTop) this.#scroller.scrollTop = top;
    else if (top > this.#scroller.scrollTop + room) this.#scroller.scrollTop = top - room;
  }

  #onClick({ target }: Event): void {
    const row = target instanceof Element ? target.closest("[data-index]") : null;
    const index = Number(row?.getAttribute("data-index") ?? -1);
    const item = this.#items[index];
    if (item === undefined) return;
    this.#active = index;
    this.#options.onOpen(item);
  }
}
