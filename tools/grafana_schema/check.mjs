// Dashboards against JSON schemas made from Grafana's own TypeScript types (npm @grafana/schema): the dashboard, and the
// options and field settings of each kind of panel. Example: node check.mjs fleet.json
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Ajv from "ajv";
import { createGenerator } from "ts-json-schema-generator";

const here = dirname(fileURLToPath(import.meta.url));
const raw = join(here, "node_modules/@grafana/schema/dist/esm/raw");
const KINDS = { timeseries: "TimeSeries", stat: "Stat", xychart: "XYChart" };
// Grafana's types have nothing of these kinds: their options are not checked.
const UNTYPED = ["alertlist"];
// What Prometheus' source reads of an annotation; the types have only what annotations of all sources share.
const OF_PROMETHEUS = ["expr", "step", "titleFormat", "textFormat", "tagKeys"];
const ajv = new Ajv({ allErrors: true, strict: false, allowUnionTypes: true });

function validator(path, type) {
  const schema = createGenerator({
    path: join(raw, path), type, tsconfig: join(here, "tsconfig.json"), skipTypeCheck: true, additionalProperties: false,
  }).createSchema(type);
  return ajv.compile(schema);
}

const dashboard = validator("dashboard/x/dashboard_types.gen.d.ts", "Dashboard");
const panels = Object.fromEntries(
  Object.entries(KINDS).map(([kind, name]) => {
    const path = `composable/${kind}/panelcfg/x/${name}PanelCfg_types.gen.d.ts`;
    const custom = kind === "stat" ? null : validator(path, "FieldConfig");
    return [kind, { options: validator(path, "Options"), custom }];
  }),
);

function complaints(validate, value, where) {
  if (validate(value)) return [];
  return validate.errors.map((error) => `${where}${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`);
}

function ofPanel(panel) {
  if (UNTYPED.includes(panel.type)) return [];
  const kind = panels[panel.type];
  if (kind === undefined) return [`${panel.title}: a panel of type ${panel.type}, which is not checked here`];
  const found = complaints(kind.options, panel.options ?? {}, `${panel.title}: options`);
  const custom = panel.fieldConfig?.defaults?.custom;
  if (custom === undefined) return found;
  if (kind.custom === null) return [...found, `${panel.title}: ${panel.type} has no settings of its own for fields`];
  return [...found, ...complaints(kind.custom, custom, `${panel.title}: custom`)];
}

let failed = false;
for (const path of process.argv.slice(2)) {
  const board = JSON.parse(readFileSync(path, "utf8"));
  for (const annotation of board.annotations?.list ?? []) for (const name of OF_PROMETHEUS) delete annotation[name];
  const found = [...complaints(dashboard, board, "dashboard"), ...board.panels.flatMap(ofPanel)];
  for (const line of found) console.error(`${path}: ${line}`);
  if (found.length === 0) console.log(`${path}: ${board.panels.length} panels are valid`);
  failed ||= found.length > 0;
}
process.exit(failed ? 1 : 0);
