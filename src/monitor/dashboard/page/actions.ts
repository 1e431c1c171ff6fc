import { h, setText } from "./dom.ts";
import type { Live } from "./live.ts";

/** Sends a message to the server. @returns why it was refused; null when it was not */
export async function post(path: string, body: unknown = {}): Promise<string | null> {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) return null;
    const said: unknown = await answer.json().catch(() => null);
    const isRefusal = said !== null && typeof said === "object" && "refused" in said;
    return isRefusal ? String(said.refused) : `the server answered ${answer.status}`;
  } catch {
    return "the server does not answer";
  }
}

export interface Action {
  readonly act: "kill" | "reduce" | "reset";
  readonly title: string;
  readonly explains: string;
  /** Word to be typed. */
  readonly word: string;
  readonly asksReason: boolean;
}

export const ACTIONS: Readonly<Record<"kill" | "reduce" | "reset", Action>> = {
  kill: {
    act: "kill",
    title: "Trip the kill switch",
    explains:
      "Every quote and order is cancelled, and nothing is quoted, across restarts too, until somebody resets it.",
    word: "KILL",
    asksReason: true,
  },
  reduce: {
    act: "reduce",
    title: "Quote reductions only",
    explains: "From now on only what reduces a position is quoted, until somebody resets it.",
    word: "REDUCE",
    asksReason: true,
  },
  reset: {
    act: "reset",
    title: "Reset and quote again",
    explains: "The kill switch and the reduce-only state are lifted: the desk quotes again at once.",
    word: "RESET",
    asksReason: false,
  },
};

/** Asks for confirmation by a word, and for the token where actions are locked; carries the action out. */
export function confirmAction(action: Action, live: Live): void {
  const locked = (live.viewer?.unlockedMs ?? 0) === 0;
  const reason = h("input", { id: "reason", maxlength: 180, autocomplete: "off" });
  const token = h("input", { id: "act-token", type: "password", autocomplete: "off", required: true });
  const word = h("input", { id: "word", autocomplete: "off", required: true, autocapitalize: "characters" });
  const error = h("p", { class: "error", role: "alert" });
  const go = h(
    "button",
    { type: "submit", class: action.act === "reset" ? "primary" : "danger", disabled: true },
    action.title,
  );
  const cancel = h("button", { type: "button" }, "Cancel");
  const form = h(
    "form",
    {},
    h("h2", { id: "dialog-title" }, action.title),
    h("p", { id: "dialog-what" }, action.explains),
    action.asksReason ? h("label", { for: "reason" }, "Reason, for the journal") : null,
    action.asksReason ? reason : null,
    locked ? h("label", { for: "act-token" }, "Token for actions") : null,
    locked ? token : null,
    h("label", { for: "word" }, `Type ${action.word} to confirm`),
    word,
    error,
    h("div", { class: "buttons" }, cancel, go),
  );
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-what" }, form);
  const check = (): void => {
    go.disabled = word.value.trim().toUpperCase() !== action.word || (locked && token.value === "");
  };
  form.addEventListener("input", check);
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    const unlocked = locked ? await post("/dashboard/unlock", { token: token.value }) : null;
    const body = action.asksReason ? { act: action.act, reason: reason.value } : { act: action.act };
    const refused = unlocked ?? (await post("/dashboard/act", body));
    if (refused === null) dialog.close();
    else setText(error, `Refused: ${refused}`);
    check();
  });
  document.body.append(dialog);
  dialog.showModal();
  (action.asksReason ? reason : locked ? token : word).focus();
}
