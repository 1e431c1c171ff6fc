import { invariant } from "../../../core/invariant.ts";

/**
 * The messages of one version, in a notation of its own: tags in the order of the specification, `!` = required, `n(…)` = a
 * repeating group counted by field n, `{Name}` = the fields of a component. BeginString, BodyLength and CheckSum are left out: the
 * parser has checked them.
 */
export interface VersionTables {
  readonly header: string;
  readonly trailer: string;
  readonly components: Readonly<Record<string, string>>;
  /** By MsgType (35). */
  readonly messages: Readonly<Record<string, { readonly name: string; readonly fields: string }>>;
}

/** Fields of a message, or of one entry of a repeating group. */
export interface FieldSet {
  readonly tags: ReadonlySet<number>;
  readonly required: readonly number[];
  /** Groups by the tag of their count. */
  readonly groups: ReadonlyMap<number, FieldSet>;
  /** First field of the set; a group's entries begin with it. */
  readonly first: number;
}

/** Reads the notation of {@link VersionTables}. */
export function parseFieldSet(text: string, components: Readonly<Record<string, string>>): FieldSet {
  const tags = new Set<number>();
  const required: number[] = [];
  const groups = new Map<number, FieldSet>();
  let rest = text.trim();
  let first = 0;
  while (rest !== "") {
    const component = /^\{(\w+)\}\s*/.exec(rest);
    if (component !== null) {
      const fields = components[component[1]];
      invariant(fields !== undefined, `component ${component[1]} is in the dictionary`);
      rest = `${fields.trim()} ${rest.slice(component[0].length)}`;
      continue;
    }
    const field = /^(\d+)(!?)(\(?)\s*/.exec(rest);
    invariant(field !== null, `a dictionary entry goes on with a field: ${rest.slice(0, 20)}`);
    rest = rest.slice(field[0].length);
    const tag = Number(field[1]);
    if (first === 0) first = tag;
    tags.add(tag);
    if (field[2] !== "") required.push(tag);
    if (field[3] === "") continue;
    const end = closing(rest);
    groups.set(tag, parseFieldSet(rest.slice(0, end), components));
    rest = rest.slice(end + 1).trim();
  }
  return { tags, required, groups, first };
}

/** Where the parenthesis closes that stands open before `text`. */
function closing(text: string): number {
  let depth = 1;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return text.length;
}
