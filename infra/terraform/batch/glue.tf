# Athena's view of the bucket: each dataset a table, each quarter a partition that needs no crawler.

locals {
  # Partitions are computed, not listed, so a quarter can be queried the moment it lands.
  quarters = join(",", flatten([for year in range(2000, 2050) : [for number in range(1, 5) : "${year}Q${number}"]]))

  # Column types by dataset, in the order of ftm_core/contracts/schemas.py, which a test compares.
  # `quarter` is missing everywhere: it is the partition.
  columns = {
    firms = [
      ["firm_id", "string"], ["firm_name", "string"], ["ticker", "string"], ["gvkey", "string"],
      ["permno", "bigint"], ["link_date", "date"], ["earnings_call_date", "date"],
      ["n_sentences", "int"], ["n_topics", "int"],
    ]
    sentences = [
      ["sentence_id", "string"], ["firm_id", "string"], ["permno", "bigint"],
      ["transcript_id", "string"], ["earnings_call_date", "date"], ["raw_text", "string"],
      ["speaker_type", "string"], ["position", "int"], ["local_topic_id", "int"],
      ["is_small_talk", "boolean"], ["theme_id", "string"],
    ]
    topics = [
      ["firm_id", "string"], ["firm_name", "string"], ["permno", "bigint"], ["gvkey", "string"],
      ["earnings_call_date", "date"], ["topic_id", "string"], ["local_topic_id", "int"],
      ["representation", "string"], ["summary", "string"], ["naming_method", "string"],
      ["summary_mode", "string"], ["keywords", "array<string>"], ["n_sentences", "int"],
      ["sentence_ids", "array<string>"], ["leading_sentences", "array<string>"],
      ["processing_timestamp", "timestamp"], ["llm_model", "string"], ["prompt_version", "string"],
      ["theme_id", "string"],
    ]
    themes = [
      ["theme_id", "string"], ["name", "string"], ["label", "string"], ["description", "string"],
      ["keywords", "array<string>"], ["kind", "string"], ["group_id", "int"],
      ["group_name", "string"], ["n_firms", "int"], ["n_topics", "int"], ["n_sentences", "int"],
    ]
    theme_contributions = [
      ["theme_id", "string"], ["firm_id", "string"], ["firm_name", "string"], ["permno", "bigint"],
      ["gvkey", "string"], ["earnings_call_date", "date"], ["topic_id", "string"],
      ["n_sentences", "int"],
    ]
    theme_exposures = [
      ["theme_id", "string"], ["firm_id", "string"], ["firm_name", "string"], ["permno", "bigint"],
      ["gvkey", "string"], ["transcript_id", "string"], ["earnings_call_date", "date"],
      ["n_sentences", "int"], ["share", "double"], ["leading_sentence_ids", "array<string>"],
    ]
    themes_for_sentiment = [
      ["theme_id", "string"], ["theme_name", "string"], ["theme_description", "string"],
      ["theme_keywords", "array<string>"], ["firm_id", "string"], ["firm_name", "string"],
      ["permno", "bigint"], ["gvkey", "string"], ["earnings_call_date", "date"],
      ["link_date", "date"], ["topic_id", "string"], ["topic_summary", "string"],
      ["sentences", "array<struct<sentence_id:string,text:string,speaker_type:string,position:int>>"],
      ["n_sentences", "int"],
    ]
  }

  # A folder is a table. The themes, their contributions and their exposures share one, so that
  # folder is one table of all their columns, and three views over it read one file each.
  tables = {
    firms                = { folder = "processed/firms", columns = local.columns.firms }
    sentences            = { folder = "processed/sentences", columns = local.columns.sentences }
    topics               = { folder = "processed/topics", columns = local.columns.topics }
    themes_for_sentiment = { folder = "sentiment-ready", columns = local.columns.themes_for_sentiment }
    theme_files = {
      folder  = "processed/themes"
      columns = distinct(concat([for name in local.views : local.columns[name]]...))
    }
  }
  views = ["themes", "theme_contributions", "theme_exposures"]

  # A view's own types are Trino's.
  view_types = {
    string          = "varchar"
    bigint          = "bigint"
    int             = "integer"
    double          = "double"
    date            = "date"
    "array<string>" = "array(varchar)"
  }
}

resource "aws_glue_catalog_database" "ftm" {
  name        = "ftm"
  description = "Topics and themes of earnings calls, by quarter"
  tags        = local.tags
}

resource "aws_glue_catalog_table" "datasets" {
  for_each = local.tables

  name          = each.key
  database_name = aws_glue_catalog_database.ftm.name
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    EXTERNAL                    = "TRUE"
    classification              = "parquet"
    "projection.enabled"        = "true"
    "projection.quarter.type"   = "enum"
    "projection.quarter.values" = local.quarters
    "storage.location.template" = "s3://${var.s3_bucket_name}/${each.value.folder}/quarter=$${quarter}/"
  }

  partition_keys {
    name = "quarter"
    type = "string"
  }

  storage_descriptor {
    location      = "s3://${var.s3_bucket_name}/${each.value.folder}/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters            = { "serialization.format" = "1" }
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value[0]
        type = columns.value[1]
      }
    }
  }
}

resource "aws_glue_catalog_table" "views" {
  for_each = toset(local.views)

  name          = each.key
  database_name = aws_glue_catalog_database.ftm.name
  table_type    = "VIRTUAL_VIEW"

  parameters = {
    presto_view = "true"
    comment     = "Presto View"
  }

  view_expanded_text = "/* Presto View */"
  view_original_text = format("/* Presto View: %s */", base64encode(jsonencode({
    catalog = "awsdatacatalog"
    schema  = aws_glue_catalog_database.ftm.name
    originalSql = format(
      "SELECT %s, quarter FROM \"%s\".\"theme_files\" WHERE \"$path\" LIKE '%%/%s.parquet'",
      join(", ", [for column in local.columns[each.key] : column[0]]),
      aws_glue_catalog_database.ftm.name,
      each.key,
    )
    columns = concat(
      [for column in local.columns[each.key] : { name = column[0], type = local.view_types[column[1]] }],
      [{ name = "quarter", type = "varchar" }],
    )
  })))

  storage_descriptor {
    dynamic "columns" {
      for_each = concat(local.columns[each.key], [["quarter", "string"]])

      content {
        name = columns.value[0]
        type = columns.value[1]
      }
    }
  }

  depends_on = [aws_glue_catalog_table.datasets]
}
