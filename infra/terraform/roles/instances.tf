# Rights of the instances of jobs and vLLM.

# What the ECS agent does, in place of AWS's managed policy. Jobs and vLLM share their instance's
# network and so can reach its role: it may join a cluster and report, and pull only our images.
locals {
  agent = [
    # An address to poll, which knows no resources.
    {
      Sid      = "FindTheService"
      Effect   = "Allow"
      Action   = ["ecs:DiscoverPollEndpoint"]
      Resource = ["*"]
    },
    # The agent reads its own instance's tags; describing knows no resources.
    {
      Sid      = "ReadTags"
      Effect   = "Allow"
      Action   = ["ec2:DescribeTags"]
      Resource = ["*"]
    },
    {
      Sid       = "TagItselfWhenJoining"
      Effect    = "Allow"
      Action    = ["ecs:TagResource"]
      Resource  = ["${local.ecs_arn}:container-instance/*"]
      Condition = { StringEquals = { "ecs:CreateAction" = ["RegisterContainerInstance"] } }
    },
  ]

  # Batch names the cluster itself.
  agent_in_any_cluster  = local.agent_in["*"]
  agent_in_vllm_cluster = local.agent_in[local.cluster]
  agent_in = {
    for cluster in ["*", local.cluster] : cluster => [
      {
        Sid    = "JoinAndReport"
        Effect = "Allow"
        Action = [
          "ecs:RegisterContainerInstance", "ecs:DeregisterContainerInstance", "ecs:SubmitAttachmentStateChanges",
          "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange",
        ]
        Resource = ["${local.ecs_arn}:cluster/${cluster}"]
      },
      {
        Sid      = "HearOfTasks"
        Effect   = "Allow"
        Action   = ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"]
        Resource = [cluster == "*" ? "${local.ecs_arn}:container-instance/*" : "${local.ecs_arn}:container-instance/${cluster}/*"]
      },
    ]
  }
}
