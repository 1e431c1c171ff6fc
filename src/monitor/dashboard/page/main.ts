import { ACTIONS, confirmAction, post } from "./actions.ts";
import { h, setAttribute, setClass, setText } from "./dom.ts";
import { duration } from "./format.ts";
import { instruments } from "./instruments.ts";
import { latency } from "./latency.ts";
import { Live } from "./live.ts";
import { model } from "./model.ts";
import { overview } from "./overview.ts";
import { profit } from "./profit.ts";
import { risk } from "./risk.ts";
import { surface } from "./surface.ts";
import { alerts, feeds } from "./system.ts";
import type { View } from "./view.ts";

const THEMES = ["auto", "light", "dark"] as const;
const RATES = [1, 10, 30, 60] as const;
const root = document.querySelector("#app") ?? document.body;

function showLogin(): void {
  const token = h("input", {
    id: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const error = h("p", { class: "error", role: "alert" });
  const form = h(
    "form",
    { class: "login card" },
    h("h1", {}, "keel"),
    h("p", {}, "This desk shows itself to those who have a token."),
    h("label", { for: "token" }, "Access token"),
    token,
    error,
    h("button", { type: "submit", class: "primary" }, "Log in"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const refused = await post("/dashboard/login", { token: token.value });
    if (refused === null) showDashboard();
    else {
      setText(error, refused);
      token.select();
    }
  });
  root.replaceChildren(h("main", { class: "login-page" }, form));
  token.focus();
}

function showDashboard(): void {
  const views: readonly View[] = [
    ...[overview(), instruments(), surface(), risk()],
    ...[profit(), latency(), feeds(), model(), alerts()],
  ];
  let current = views.find(({ id }) => `#${id}` === location.hash) ?? views[0];
  let pending = false;
  const live = new Live(
    () => {
      if (pending) return;
      pending = true;
      requestAnimationFrame(() => {
        pending = false;
        render();
      });
    },
    () => showLogin(),
  );

  const name = h("span", { class: "desk-name" });
  const state = h("span", { class: "state" }, "…");
  const link = h("span", { class: "link" });
  const clock = h("span", { class: "clock" });
  const announcer = h("p", { class: "unseen", role: "status", "aria-live": "assertive" });
  const lock = h("button", { type: "button" });
  const kill = h("button", { type: "button", class: "danger" }, "Kill…");
  const reduce = h("button", { type: "button" }, "Reduce…");
  const reset = h("button", { type: "button", class: "primary" }, "Reset…");
  const logout = h("button", { type: "button", class: "quiet" }, "Log out");
  const theme = h("select", { id: "theme" });
  for (const value of THEMES) theme.append(h("option", { value }, value));
  const rate = h("select", { id: "rate" });
  for (const value of RATES) rate.append(h("option", { value }, `${value}/s`));
  rate.value = "10";
  rate.addEventListener("change", () => live.watch({ rate: Number(rate.value) }));
  theme.value = localStorage.getItem("theme") ?? "auto";
  const applyTheme = (): void => {
    if (theme.value === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme.value);
    for (const view of views) view.restyle?.();
  };
  theme.addEventListener("change", () => {
    localStorage.setItem("theme", theme.value);
    applyTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  kill.addEventListener("click", () => confirmAction(ACTIONS.kill, live));
  reduce.addEventListener("click", () => confirmAction(ACTIONS.reduce, live));
  reset.addEventListener("click", () => confirmAction(ACTIONS.reset, live));
  lock.addEventListener("click", () => void post("/dashboard/lock"));
  logout.addEventListener("click", async () => {
    await post("/dashboard/logout");
    location.reload();
  });

  const tabs = h("div", { role: "tablist", "aria-label": "Pages", class: "tabs" });
  const main = h("main", { id: "main" });
  for (const view of views) {
    const tab = h(
      "button",
      { type: "button", role: "tab", id: `tab-${view.id}`, "aria-controls": `panel-${view.id}` },
      view.label,
    );
    tab.addEventListener("click", () => open(view));
    tabs.append(tab);
    main.append(
      h(
        "section",
        { role: "tabpanel", id: `panel-${view.id}`, "aria-labelledby": `tab-${view.id}`, tabindex: -1 },
        view.element,
      ),
    );
  }
  tabs.addEventListener("keydown", (event) => {
    const at = views.indexOf(current ?? (views[0] as View));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: views.length - 1 }[event.key];
    const next = to === undefined ? undefined : views.at(to % views.length);
    if (next === undefined) return;
    event.preventDefault();
    open(next);
    document.querySelector<HTMLElement>(`#tab-${next.id}`)?.focus();
  });

  function open(view: View): void {
    current = view;
    history.replaceState(null, "", `#${view.id}`);
    for (const other of views) {
      const isOpen = other === view;
      const tab = document.querySelector(`#tab-${other.id}`);
      const panel = document.querySelector<HTMLElement>(`#panel-${other.id}`);
      tab?.setAttribute("aria-selected", String(isOpen));
      tab?.setAttribute("tabindex", isOpen ? "0" : "-1");
      if (panel !== null) panel.hidden = !isOpen;
    }
    render();
    look();
  }

  function look(): void {
    if (current === undefined) return;
    live.watch({ sections: current.sections, ...current.watched(live) });
  }

  let said = "";
  function say(text: string): void {
    if (text === said) return;
    said = text;
    setText(announcer, text);
  }

  function render(): void {
    const now = live.section("overview");
    setText(name, live.hello?.name ?? "");
    setText(clock, live.us === 0 ? "" : `${new Date(live.us / 1_000).toISOString().slice(11, 19)} UTC`);
    setText(link, live.connected ? "connected" : "not connected");
    setClass(link, live.connected ? "link good" : "link bad");
    document.body.classList.toggle("stale", !live.connected);
    if (now !== undefined) {
      const [label, tone] =
        now.state === "halted"
          ? [`KILLED: ${now.killed ?? ""}`, "bad"]
          : now.state === "reducing"
            ? [`REDUCING: ${now.reducing ?? ""}`, "warn"]
            : now.waiting.length > 0
              ? ["NOT QUOTING", "warn"]
              : ["QUOTING", "good"];
      setText(state, label);
      setClass(state, `state ${tone}`);
      document.title = `${label} · ${live.hello?.name ?? "keel"}`;
      say(now.critical > 0 ? `${label}. ${now.critical} critical alerts.` : label);
      kill.hidden = now.state === "halted";
      reduce.hidden = now.state !== "active";
      reset.hidden = now.state === "active";
      const tab = document.querySelector("#tab-alerts");
      if (tab !== null) {
        setText(tab, now.alerts === 0 ? "Alerts" : `Alerts (${now.alerts})`);
        setClass(tab, now.critical > 0 ? "bad" : now.alerts > 0 ? "warn" : "");
      }
    }
    const { viewer } = live;
    const mayAct = viewer?.canUnlock === true;
    for (const button of [kill, reduce, reset]) {
      button.disabled = !mayAct || !live.connected;
      setAttribute(button, "title", mayAct ? "" : "Needs KEEL_HTTP_TOKEN_FILE on the host");
    }
    lock.hidden = viewer === null || viewer.unlockedMs === 0;
    setText(lock, `Lock actions (${duration((viewer?.unlockedMs ?? 0) / 1_000).slice(3)})`);
    logout.hidden = viewer?.by !== "token";
    current?.render(live);
    if (current?.id === "overview") look();
  }

  const header = h(
    "header",
    { class: "top" },
    h("h1", {}, "keel ", name),
    state,
    announcer,
    h("div", { class: "meta" }, link, clock),
    h(
      "div",
      { class: "tools" },
      h("label", { for: "rate", class: "unseen" }, "Updates a second"),
      rate,
      h("label", { for: "theme", class: "unseen" }, "Colours"),
      theme,
      logout,
      lock,
      reduce,
      reset,
      kill,
    ),
  );
  const skip = h("a", { href: "#main", class: "skip" }, "Skip to the content");
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector<HTMLElement>(`#panel-${current?.id ?? ""}`)?.focus();
  });
  root.replaceChildren(skip, header, h("nav", { "aria-label": "Dashboard" }, tabs), main);
  reset.hidden = true;
  applyTheme();
  if (current !== undefined) open(current);
}

const session = await fetch("/dashboard/session").then((answer) => answer.json());
if (session.viewer === null) showLogin();
else showDashboard();
