"""Names of everything that the Terraform modules make, and ARNs worked out from them."""

from __future__ import annotations

VLLM_GROUP = "ftm-vllm-asg"
VLLM_CLUSTER = "ftm-vllm-cluster"
VLLM_SERVICE = "ftm-vllm-service"
BASE_URL_PARAMETER = "/ftm/vllm/base_url"
VLLM_LOGS = "/ecs/ftm-vllm"
BATCH_LOGS = "/aws/batch/ftm"
QUEUE = "ftm-queue-main"
MAP_JOB_DEFINITION = "ftm-firm-processor"
REDUCE_JOB_DEFINITION = "ftm-theme-aggregator"
STATE_MACHINE = "ftm-quarter-processor"
DEADMAN = "ftm-vllm-deadman"
DEFAULT_REGION = "us-west-2"

# Streams in the log group of the jobs begin with these.
STREAMS = {"plan": "quarter-planner", "map": "firm-processor", "reduce": "theme-aggregator"}


def state_machine_arn(region: str, account_id: str, name: str = STATE_MACHINE) -> str:
    """ARN of one of our state machines in the pinned account."""
    return f"arn:{partition_of(region)}:states:{region}:{account_id}:stateMachine:{name}"


def execution_arn(region: str, account_id: str, execution: str) -> str:
    """ARN of a run by its name."""
    return (
        f"arn:{partition_of(region)}:states:{region}:{account_id}:execution:"
        f"{STATE_MACHINE}:{execution}"
    )


def partition_of(region: str) -> str:
    """Partition that a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
