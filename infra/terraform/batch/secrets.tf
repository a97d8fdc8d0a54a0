# The WRDS secret: an empty box. Its value is put in by hand, so it is in no state and no plan.

resource "aws_secretsmanager_secret" "wrds" {
  # checkov:skip=CKV_AWS_149:The account's own Secrets Manager key suffices for one operator's login; nobody outside the account reads it.
  # checkov:skip=CKV2_AWS_57:WRDS passwords cannot be rotated by a program: the login is behind two factors.
  count = var.enable_wrds_secrets ? 1 : 0

  name        = var.wrds_secret_name
  description = "WRDS login as JSON with username and password; read by ftm ingest on the operator's machine, by no job"
  # Without a waiting time, a destroy followed by a deploy finds the name free.
  recovery_window_in_days = 0
  tags                    = local.tags
}
