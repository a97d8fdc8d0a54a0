"""What moto 5.2.5 must learn before our modules apply and are destroyed, and our jobs run on it.

Each patch names what is missing. None of them knows of ftm: they make moto answer as AWS documents.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from tests.emulator.iam_gate import credentials_of
from tests.emulator.states_patches import patch_step_functions


def apply_all(endpoint: str) -> None:
    """Patch moto in this process, before its server starts; it listens at ``endpoint``."""
    patch_step_functions()
    know_the_policies_of_aws()
    describe_rules_that_name_groups()
    keep_a_launch_templates_own_tags_out_of_its_data()
    delete_policies_of_file_systems()
    let_batch_use_its_own_role()
    keep_limits_of_job_queues()
    run_jobs_against(endpoint)
    report_how_jobs_ended()
    let_containers_reserve_memory_alone()
    keep_what_ecs_services_were_given()


def know_the_policies_of_aws() -> None:
    """Managed policies, which roles are given by name, are not there by default."""
    from moto.core.config import default_user_config

    default_user_config["iam"] = {"load_aws_managed_policies": True}


def describe_rules_that_name_groups() -> None:
    """A rule's description is lost where the other side is a security group."""
    from moto.ec2.models.security_groups import SecurityGroupRule

    def description(self: Any) -> str | None:
        return self.ip_range.get("Description") or self.source_group.get("Description")

    SecurityGroupRule.description = property(description)


def keep_a_launch_templates_own_tags_out_of_its_data() -> None:
    """Tags of the template itself come back as tags of what it launches."""
    from moto.ec2.models.launch_templates import LaunchTemplateBackend

    plain_create = LaunchTemplateBackend.create_launch_template

    def create_launch_template(
        self: Any, name: str, description: str, template_data: dict[str, Any], tag_spec: Any
    ) -> Any:
        for_launched = [
            item
            for item in template_data.get("TagSpecifications", [])
            if item["ResourceType"] != "launch-template"
        ]
        data = template_data | {"TagSpecifications": for_launched}
        return plain_create(self, name, description, data, tag_spec)

    LaunchTemplateBackend.create_launch_template = create_launch_template


def delete_policies_of_file_systems() -> None:
    """A file system's policy can be put, but not deleted: a destroy asks for it without end."""
    from moto.efs.responses import EFSResponse

    def delete_file_system_policy(self: Any) -> tuple[str, dict[str, str]]:
        self.efs_backend.put_file_system_policy(self._get_param("FileSystemId"), "", False)
        return "{}", {"Content-Type": "application/json"}

    EFSResponse.delete_file_system_policy = delete_file_system_policy


def let_batch_use_its_own_role() -> None:
    """A compute environment without a service role gets the one that AWS keeps for Batch."""
    from moto.batch.models import BatchBackend

    plain_create = BatchBackend.create_compute_environment
    looking = threading.Lock()

    def own_role(iam: Any) -> str:
        service = "batch.amazonaws.com"
        with looking:
            own = [role for role in iam.get_roles() if role.path == f"/aws-service-role/{service}/"]
            role = own[0] if own else iam.create_service_linked_role(service, "", "")
        return str(role.arn)

    def create_compute_environment(self: Any, *given: Any, **named: Any) -> Any:
        named["service_role"] = named["service_role"] or own_role(self.iam_backend)
        return plain_create(self, *given, **named)

    BatchBackend.create_compute_environment = create_compute_environment


def keep_limits_of_job_queues() -> None:
    """A queue forgets how long a job may wait, so that a second plan would add the limits again."""
    from moto.batch.models import JobQueue
    from moto.batch.responses import BatchResponse

    plain_describe = JobQueue.describe
    plain_create = BatchResponse.createjobqueue
    plain_update = BatchResponse.updatejobqueue

    def keep(self: Any) -> None:
        actions = self._get_param("jobStateTimeLimitActions")
        name = (self._get_param("jobQueueName") or self._get_param("jobQueue")).rsplit("/", 1)[-1]
        if actions is not None:
            self.batch_backend.get_job_queue(name).limits = actions

    def create(self: Any) -> Any:
        answer = plain_create(self)
        keep(self)
        return answer

    def update(self: Any) -> Any:
        answer = plain_update(self)
        keep(self)
        return answer

    def describe(self: Any) -> dict[str, Any]:
        return plain_describe(self) | {"jobStateTimeLimitActions": getattr(self, "limits", [])}

    BatchResponse.createjobqueue = create
    BatchResponse.updatejobqueue = update
    JobQueue.describe = describe


def run_jobs_against(endpoint: str) -> None:
    """Give job containers what AWS gives them: an endpoint, and credentials of the job's role.

    The names of load balancers lead to this machine, where a test may listen for them. A job that
    is terminated gets SIGTERM and 30 seconds, as from AWS Batch, instead of SIGKILL.
    """
    from moto.batch.models import Job
    from moto.utilities.docker_utilities import DockerModel

    plain_client = DockerModel.docker_client.fget

    def with_credentials(self: Any) -> Any:
        client = plain_client(self)
        if not isinstance(self, Job) or getattr(client, "gives_credentials", False):
            return client
        run = client.containers.run
        # Each access makes a new collection; ours replaces the attribute's getter on this client.
        collection = client.containers

        def run_with_credentials(*arguments: Any, **options: Any) -> Any:
            role = credentials_of(self.job_definition.container_properties["jobRoleArn"])
            options["environment"] = {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": role["aws_access_key_id"],
                "AWS_SECRET_ACCESS_KEY": role["aws_secret_access_key"],
                **options.get("environment", {}),
            }
            if options.get("network_mode") == "host":
                options["extra_hosts"] = dict.fromkeys(_load_balancer_names(), "127.0.0.1")
            container = run(*arguments, **options)
            container.kill = lambda *_, **__: container.stop(timeout=30)
            return container

        collection.run = run_with_credentials
        client.__class__ = type(
            "Client",
            (client.__class__,),
            {"containers": property(lambda _: collection), "gives_credentials": True},
        )
        return client

    DockerModel.docker_client = property(with_credentials)


def _load_balancer_names() -> list[str]:
    """DNS names of all load balancers of all accounts and regions."""
    from moto.elbv2.models import elbv2_backends

    return [
        balancer.dns_name
        for regions in elbv2_backends.values()
        for backend in regions.values()
        for balancer in backend.load_balancers.values()
    ]


def report_how_jobs_ended() -> None:
    """DescribeJobs loses the exit code that moto itself has read from the container."""
    from moto.batch.models import Job

    plain_describe = Job.describe

    def describe(self: Any) -> Any:
        described = plain_describe(self)
        code = self.exit_code
        if code is not None and "container" in described:
            described["container"]["exitCode"] = code
            for attempt in described["attempts"]:
                attempt["container"]["exitCode"] = code
        if described["status"] == "FAILED":
            described.setdefault("statusReason", "Essential container in task exited")
        return described

    Job.describe = describe


def let_containers_reserve_memory_alone() -> None:
    """On EC2 a container needs a limit of memory or a reservation; moto insists on the limit."""
    from moto.ecs.models import EC2ContainerServiceBackend

    plain_check = EC2ContainerServiceBackend._validate_container_defs

    def check(memory: Any, containers: Any, compatibilities: Any) -> None:
        plain_check(memory, containers, None)

    EC2ContainerServiceBackend._validate_container_defs = staticmethod(check)


def keep_what_ecs_services_were_given() -> None:
    """A service forgets much of its request, so that a second plan would change it back.

    An empty network configuration in an answer makes Terraform's provider panic.
    """
    from moto.ecs.responses import EC2ContainerServiceResponse

    plain_create = EC2ContainerServiceResponse.create_service
    forgotten = {
        "health_check_grace_period_seconds": "healthCheckGracePeriodSeconds",
        "deployment_configuration": "deploymentConfiguration",
        "placement_constraints": "placementConstraints",
        "availability_zone_rebalancing": "availabilityZoneRebalancing",
    }

    def create_service(self: Any) -> Any:
        answer = plain_create(self)
        name = self._get_param("serviceName")
        services = self.ecs_backend.services
        service = next(services[pair] for pair in services if pair.endswith(f":{name}"))
        for attribute, parameter in forgotten.items():
            setattr(service, attribute, self._get_param(parameter))
        service.network_configuration = service.network_configuration or None
        for deployment in service.deployments:
            if not deployment["networkConfiguration"]:
                del deployment["networkConfiguration"]
        return answer

    EC2ContainerServiceResponse.create_service = create_service


def host_network() -> None:
    """Jobs share the machine's network, so that emulator, LLM and registry stay on 127.0.0.1."""
    os.environ["MOTO_DOCKER_NETWORK_MODE"] = "host"
