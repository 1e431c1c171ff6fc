import type { AlertRule } from "../../monitor/alerts/rule.ts";
import { promQl } from "../../monitor/alerts/rule.ts";
import { ALERT_RULES } from "../../monitor/alerts/rules.ts";

/** A file of Prometheus rules: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/. */
export interface RuleFile {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly for?: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  }[];
}

/** Every alert of keel, and one that only somebody outside can tell: that keel is not there. */
export function ruleFile(rules: readonly AlertRule[] = ALERT_RULES): RuleFile {
  const absent = {
    alert: "KeelDown",
    expr: 'up{job="keel"} == 0 or absent(up{job="keel"})',
    for: "30s",
    labels: { severity: "critical" },
    annotations: { summary: "keel does not answer", runbook: "docs/runbooks.md#keeldown" },
  };
  return { groups: [{ name: "keel", rules: [absent, ...rules.map(ruleOf)] }] };
}

function ruleOf({ name, severity, summary, when, forSeconds }: AlertRule) {
  return {
    alert: name,
    expr: promQl(when),
    ...(forSeconds === 0 ? {} : { for: `${forSeconds}s` }),
    labels: { severity },
    annotations: { summary, value: "{{ $value }}", runbook: `docs/runbooks.md#${name.toLowerCase()}` },
  };
}

export function ruleFileText(): string {
  return `${Bun.YAML.stringify(ruleFile(), null, 2)}\n`;
}
