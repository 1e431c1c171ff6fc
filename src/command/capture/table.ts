export { type ColumnType, ParquetTable, type Row } from "../../core/parquet-table.ts";
