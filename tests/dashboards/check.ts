// What a dashboard may be by Grafana's published types, with its enums as what stands in JSON.
import type { Dashboard, Panel, RowPanel, TableOptions } from "@grafana/schema";
import type * as Graph from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type * as Stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";

/** The same type as JSON has it: members of enums are their values. */
type Json<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}` ? N : T
    : T extends Array<infer Item> ? Array<Json<Item>>
    : T extends object ? { [Key in keyof T]: Json<T[Key]> }
    : T;

type Of<Kind extends string, Options, Field> =
  Json<Omit<Panel, "options" | "fieldConfig" | "type" | "targets">> & {
    type: Kind;
    options: Json<Options>;
    fieldConfig: { defaults: Omit<Json<NonNullable<Panel["fieldConfig"]>["defaults"]>, "custom"> & { custom: Json<Field> }; overrides: [] };
    targets: Query[];
  };

/** The package has no type of a query to Prometheus. */
interface Query {
  refId: string;
  datasource: { type: "prometheus"; uid: string };
  editorMode: "code";
  expr: string;
  legendFormat: string;
  range: boolean;
  instant?: boolean;
  format?: "table";
}

type Known =
  | Of<"timeseries", Graph.Options, Graph.FieldConfig>
  | Of<"stat", Stat.Options, Record<string, never>>
  | Of<"table", TableOptions, Record<string, never>>
  | (Omit<Json<RowPanel>, "panels"> & { panels: [] });

export type Checked = Omit<Json<Dashboard>, "panels"> & { panels: Known[] };
