# The way from the jobs to vLLM: their security group, an internal load balancer, one port.

# Made by the batch module, which is therefore applied first.
data "aws_security_group" "batch" {
  name   = "ftm-batch-sg"
  vpc_id = local.vpc_id
}

resource "aws_security_group" "load_balancer" {
  name        = "ftm-vllm-alb-sg"
  description = "Load balancer of vLLM: in from the jobs, out to vLLM"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "ftm-vllm-alb-sg" })
}

resource "aws_vpc_security_group_ingress_rule" "from_jobs" {
  # checkov:skip=CKV_AWS_260:No address range at all: only the jobs' own security group may come in.
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "Jobs of ftm"
  referenced_security_group_id = data.aws_security_group.batch.id
  ip_protocol                  = "tcp"
  from_port                    = 80
  to_port                      = 80
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "to_vllm" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "vLLM"
  referenced_security_group_id = aws_security_group.vllm.id
  ip_protocol                  = "tcp"
  from_port                    = local.vllm_port
  to_port                      = local.vllm_port
  tags                         = local.tags
}

resource "aws_security_group" "vllm" {
  name        = "ftm-vllm-sg"
  description = "Instances of vLLM: in from the load balancer, out to AWS and the model's hub"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "ftm-vllm-sg" })
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  security_group_id            = aws_security_group.vllm.id
  description                  = "Load balancer of vLLM"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.vllm_port
  to_port                      = local.vllm_port
  tags                         = local.tags
}

# AWS's own services, the image and the model all come over 443, from addresses nobody can name.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.vllm.id
  description       = "AWS services, image and model"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}

resource "aws_lb" "vllm" {
  # checkov:skip=CKV_AWS_150:Nothing is lost with it: `ftm destroy` must be able to take it away.
  # checkov:skip=CKV_AWS_91:Requests are in vLLM's own log; a second copy in S3 would cost and be read by nobody.
  # checkov:skip=CKV2_AWS_28:It is internal and takes requests from the jobs' security group alone; a firewall for the web has nothing to do here.
  # checkov:skip=CKV2_AWS_20:See the listener.
  name                       = "ftm-vllm-alb"
  internal                   = true
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.load_balancer.id]
  subnets                    = values(local.subnet_of_zone)
  idle_timeout               = var.request_timeout_seconds
  drop_invalid_header_fields = true
  tags                       = local.tags

  lifecycle {
    precondition {
      condition     = length(local.subnet_of_zone) >= 2
      error_message = "A load balancer needs subnets in two zones at least. Give subnet_ids of two zones."
    }
  }
}

resource "aws_lb_target_group" "vllm" {
  # checkov:skip=CKV_AWS_378:Plain HTTP between a load balancer and one instance type inside one VPC, closed to everything else by security groups.
  name                          = "ftm-vllm-tg"
  port                          = local.vllm_port
  protocol                      = "HTTP"
  target_type                   = "instance"
  vpc_id                        = local.vpc_id
  deregistration_delay          = 60
  load_balancing_algorithm_type = "least_outstanding_requests"

  # vLLM answers 503 on /health while it loads. A busy server may miss one check, not five.
  health_check {
    path                = "/health"
    matcher             = "200"
    interval            = 30
    timeout             = 10
    healthy_threshold   = 2
    unhealthy_threshold = 5
  }

  tags = local.tags
}

resource "aws_lb_listener" "vllm" {
  # checkov:skip=CKV_AWS_2:A certificate needs a domain of one's own; the traffic never leaves the VPC, and calls are public texts.
  # checkov:skip=CKV_AWS_103:No TLS here, see above.
  load_balancer_arn = aws_lb.vllm.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.vllm.arn
  }

  tags = local.tags
}

# The batch module's second pass hands this URL to the jobs.
resource "aws_ssm_parameter" "base_url" {
  # checkov:skip=CKV2_AWS_34:An internal address is no secret, and the batch module puts it into job definitions.
  name        = "/ftm/vllm/base_url"
  description = "OpenAI-compatible URL of vLLM"
  type        = "String"
  value       = "http://${aws_lb.vllm.dns_name}/v1"
  tags        = local.tags
}
