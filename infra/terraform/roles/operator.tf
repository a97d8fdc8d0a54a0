# Rights of the operator, where an administrator makes the roles: deploy, run, watch, destroy.

locals {
  named_roles = [for role in local.roles : "arn:${var.partition}:iam::${var.account_id}:role/${role.name}"]
  profiles = [
    for role in local.roles : "arn:${var.partition}:iam::${var.account_id}:instance-profile/${role.instance_profile}"
    if role.instance_profile != null
  ]
  state_bucket = "arn:${var.partition}:s3:::${var.state_bucket}"

  # Three policies, because one may hold 6,144 characters.
  operator = {
    ftm-operator-roles = concat(
      [
        {
          Sid      = "ReadRoles"
          Effect   = "Allow"
          Action   = ["iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"]
          Resource = local.named_roles
        },
        {
          Sid      = "ReadProfiles"
          Effect   = "Allow"
          Action   = ["iam:GetInstanceProfile"]
          Resource = local.profiles
        },
        {
          Sid      = "HandRolesToServices"
          Effect   = "Allow"
          Action   = ["iam:PassRole"]
          Resource = local.named_roles
          Condition = {
            StringEquals = {
              "iam:PassedToService" = [
                "ecs-tasks.amazonaws.com", "ec2.amazonaws.com", "states.amazonaws.com",
                "events.amazonaws.com", "scheduler.amazonaws.com", "batch.amazonaws.com",
              ]
            }
          }
        },
        # Made by each service at its first use in the account.
        {
          Sid      = "ServicesOwnRoles"
          Effect   = "Allow"
          Action   = ["iam:CreateServiceLinkedRole"]
          Resource = ["arn:${var.partition}:iam::${var.account_id}:role/aws-service-role/*"]
          Condition = {
            StringEquals = {
              "iam:AWSServiceName" = [
                "batch.amazonaws.com", "ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com",
                "autoscaling.amazonaws.com", "spot.amazonaws.com", "elasticfilesystem.amazonaws.com",
              ]
            }
          }
        },
        {
          Sid      = "Bucket"
          Effect   = "Allow"
          Action   = ["s3:ListBucket", "s3:GetBucketLocation"]
          Resource = compact([local.bucket, var.state_bucket == "" ? "" : local.state_bucket])
        },
        {
          Sid    = "Objects"
          Effect = "Allow"
          Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
          Resource = compact([
            "${local.bucket}/*", var.state_bucket == "" ? "" : "${local.state_bucket}/ftm/terraform/*",
          ])
        },
      ],
      [for key in compact([var.kms_key_arn]) : {
        Sid      = "BucketKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [key]
      }],
    )

    # Describing, and making what gets its name only when it is made, know no resources.
    ftm-operator-network = [
      {
        Sid    = "Describe"
        Effect = "Allow"
        Action = [
          "ec2:DescribeAccountAttributes", "ec2:DescribeAvailabilityZones", "ec2:DescribeImages",
          "ec2:DescribeInstanceTypes", "ec2:DescribeInstances", "ec2:DescribeLaunchTemplates",
          "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules", "ec2:DescribeSubnets",
          "ec2:DescribeTags", "ec2:DescribeVpcs", "ec2:DescribeVpcAttribute",
          "autoscaling:Describe*", "elasticloadbalancing:Describe*", "elasticfilesystem:Describe*",
          "batch:Describe*", "batch:List*", "ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions",
          "servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota",
          "ssm:DescribeParameters", "logs:DescribeLogGroups", "cloudwatch:DescribeAlarms",
        ]
        Resource = ["*"]
      },
      {
        Sid    = "Network"
        Effect = "Allow"
        Action = [
          "ec2:CreateSecurityGroup", "ec2:DeleteSecurityGroup", "ec2:AuthorizeSecurityGroupIngress",
          "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
          "ec2:RevokeSecurityGroupEgress", "ec2:ModifySecurityGroupRules", "ec2:CreateLaunchTemplate",
          "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate", "ec2:DeleteLaunchTemplate",
          "ec2:CreateTags", "ec2:DeleteTags", "ec2:RunInstances",
        ]
        Resource = ["*"]
        # Only here: nothing of other regions is touched.
        Condition = { StringEquals = { "aws:RequestedRegion" = [var.region] } }
      },
      {
        Sid    = "LoadBalancer"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:DeleteLoadBalancer",
          "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:DeleteTargetGroup",
          "elasticloadbalancing:CreateListener", "elasticloadbalancing:DeleteListener",
          "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:ModifyListener",
          "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
          "elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags",
        ]
        Resource = [
          "arn:${var.partition}:elasticloadbalancing:${local.regional}:loadbalancer/app/ftm-vllm-alb/*",
          "arn:${var.partition}:elasticloadbalancing:${local.regional}:listener/app/ftm-vllm-alb/*",
          "arn:${var.partition}:elasticloadbalancing:${local.regional}:targetgroup/ftm-vllm-tg/*",
        ]
      },
      {
        Sid    = "Instances"
        Effect = "Allow"
        Action = [
          "autoscaling:CreateAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup",
          "autoscaling:DeleteAutoScalingGroup", "autoscaling:SetDesiredCapacity",
          "autoscaling:SuspendProcesses", "autoscaling:ResumeProcesses",
          "autoscaling:EnableMetricsCollection", "autoscaling:DisableMetricsCollection",
          "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags",
        ]
        Resource = ["arn:${var.partition}:autoscaling:${local.regional}:autoScalingGroup:*:autoScalingGroupName/${local.group}"]
      },
      {
        Sid       = "ModelFiles"
        Effect    = "Allow"
        Action    = ["elasticfilesystem:*"]
        Resource  = ["*"]
        Condition = { StringEquals = { "aws:RequestedRegion" = [var.region] } }
      },
    ]

    ftm-operator-services = [
      {
        Sid    = "Jobs"
        Effect = "Allow"
        Action = [
          "batch:CreateComputeEnvironment", "batch:UpdateComputeEnvironment",
          "batch:DeleteComputeEnvironment", "batch:CreateJobQueue", "batch:UpdateJobQueue",
          "batch:DeleteJobQueue", "batch:RegisterJobDefinition", "batch:DeregisterJobDefinition",
          "batch:TagResource", "batch:UntagResource",
        ]
        Resource = concat(
          ["${local.batch_arn}:compute-environment/ftm-*", "${local.batch_arn}:job-queue/${local.queue}"],
          [for name in local.job_definitions : "${local.batch_arn}:job-definition/${name}*"],
        )
      },
      # Task definitions know no resources when they are registered or taken back.
      {
        Sid      = "TaskDefinitions"
        Effect   = "Allow"
        Action   = ["ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition", "ecs:CreateCluster"]
        Resource = ["*"]
      },
      {
        Sid    = "Vllm"
        Effect = "Allow"
        Action = [
          "ecs:DeleteCluster", "ecs:DescribeClusters", "ecs:CreateService", "ecs:UpdateService",
          "ecs:DeleteService", "ecs:DescribeServices", "ecs:ListTasks", "ecs:DescribeTasks",
          "ecs:TagResource", "ecs:UntagResource", "ecs:ListTagsForResource",
        ]
        Resource = [
          "${local.ecs_arn}:cluster/${local.cluster}", "${local.ecs_arn}:service/${local.cluster}/*",
          "${local.ecs_arn}:task/${local.cluster}/*", "${local.ecs_arn}:container-instance/${local.cluster}/*",
          "${local.ecs_arn}:task-definition/ftm-vllm:*",
        ]
      },
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:*"]
        Resource = [
          "${local.logs_arn}:log-group:/aws/batch/ftm*", "${local.logs_arn}:log-group:/ecs/ftm-vllm*",
          "${local.logs_arn}:log-group:/aws/vendedlogs/states/ftm-*",
        ]
      },
      {
        Sid      = "Images"
        Effect   = "Allow"
        Action   = ["ecr:*"]
        Resource = ["arn:${var.partition}:ecr:${local.regional}:repository/ftm*"]
      },
      {
        Sid      = "RegistryLogin"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
      {
        Sid    = "Addresses"
        Effect = "Allow"
        Action = [
          "ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameter",
          "ssm:AddTagsToResource", "ssm:ListTagsForResource",
        ]
        Resource = [
          "arn:${var.partition}:ssm:${local.regional}:parameter/ftm/*",
          "arn:${var.partition}:ssm:${var.region}::parameter/aws/service/ecs/*",
        ]
      },
      {
        Sid    = "Tables"
        Effect = "Allow"
        Action = ["glue:*"]
        Resource = [
          "arn:${var.partition}:glue:${local.regional}:catalog",
          "arn:${var.partition}:glue:${local.regional}:database/ftm",
          "arn:${var.partition}:glue:${local.regional}:table/ftm/*",
        ]
      },
      {
        Sid    = "Runs"
        Effect = "Allow"
        Action = ["states:*"]
        Resource = [
          "${local.states_arn}:stateMachine:ftm-*", "${local.states_arn}:execution:ftm-*",
          "${local.states_arn}:mapRun:ftm-*",
        ]
      },
      {
        Sid      = "CheckDefinitions"
        Effect   = "Allow"
        Action   = ["states:ValidateStateMachineDefinition"]
        Resource = ["*"]
      },
      {
        Sid    = "EventsAndAlarms"
        Effect = "Allow"
        Action = ["events:*", "scheduler:*", "sns:*", "cloudwatch:*"]
        Resource = [
          "arn:${var.partition}:events:${local.regional}:rule/ftm-*",
          "arn:${var.partition}:scheduler:${local.regional}:schedule/default/ftm-*",
          "arn:${var.partition}:sns:${local.regional}:ftm-*",
          "arn:${var.partition}:cloudwatch:${local.regional}:alarm:ftm-*",
        ]
      },
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:*"]
        Resource = ["arn:${var.partition}:secretsmanager:${local.regional}:secret:ftm/*"]
      },
      {
        Sid      = "Budget"
        Effect   = "Allow"
        Action   = ["budgets:ViewBudget", "budgets:ModifyBudget", "budgets:ListTagsForResource", "budgets:TagResource"]
        Resource = ["arn:${var.partition}:budgets::${var.account_id}:budget/ftm-*"]
      },
    ]
  }
}
