"""*Decoders*: each replica of Triton, and each bundle on them."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from monitoring.grafana.gpu import GPU_MEMORY, GPU_POWER, GPU_USE
from monitoring.grafana.panels import Place, Query, board, label_variable, series

_ONE_SERVER = 'scalar(max(narrows_scale_capacity_frames_per_second) / max(narrows_scale_servers{state="ready"}))'


def decoders() -> Dashboard:
    """The whole of it."""
    made = (
        board(
            "Decoders",
            "Load, queues, batches, instances, errors and GPUs of each replica.",
        )
        .with_variable(label_variable("bundle", "Bundle", "narrows_decoder_ready", "bundle"))
        .with_variable(label_variable("replica", "Replica", "narrows_server_state", "server"))
    )
    return _gpus(_replicas(_bundles(made)))


def _bundles(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            series(
                "Load of each bundle",
                Place(0, 0, 12, 8),
                [
                    Query('bundle:narrows_decoder_load_ratio:sum{bundle=~"$bundle"}', "{{bundle}}: load"),
                    Query('max by (bundle) (narrows_decoder_busy_ratio{bundle=~"$bundle"})', "{{bundle}}: busy"),
                ],
                unit="percentunit",
                most=1.0,
                links=["Autoscaler"],
                about="Offered work over capacity. The busy share saturates early where batches are small.",
            )
        )
        .with_panel(
            series(
                "Load of each replica",
                Place(12, 0, 12, 8),
                [Query(f'server:narrows_server_frames:rate1m{{server=~"$replica"}} / {_ONE_SERVER}', "{{server}}")],
                unit="percentunit",
                most=1.0,
                about="Frames that it answered over what one server can do.",
            )
        )
        .with_panel(
            series(
                "Replicas and instances",
                Place(0, 8, 8, 8),
                [
                    Query('max by (bundle) (narrows_decoder_replicas{bundle=~"$bundle"})', "{{bundle}}: replicas"),
                    Query('max by (bundle) (narrows_decoder_instances{bundle=~"$bundle"})', "{{bundle}}: instances"),
                    Query('narrows_server_busy_instances{server=~"$replica"}', "{{server}}: busy"),
                ],
                unit="none",
                links=["Autoscaler"],
                about="Replicas that take work, instances on all of them, and how many compute on the mean.",
            )
        )
        .with_panel(
            series(
                "Frames in a batch",
                Place(8, 8, 8, 8),
                [
                    Query(
                        'server:narrows_batch_frames:mean1m{server=~"$replica",bundle=~"$bundle"}', "{{server}}: mean"
                    ),
                    Query("histogram_quantile(0.95, sum by (le) (rate(narrows_batch_size_bucket[1m])))", "p95, all"),
                ],
                unit="count:frames",
                about="Batches as Triton executed them, and as dispatchers sent them.",
            )
        )
        .with_panel(
            series(
                "Cost of a batch",
                Place(16, 8, 8, 8),
                [
                    Query(
                        'max by (bundle, batch) (narrows_batch_cost_seconds{bundle=~"$bundle"})',
                        "{{bundle}}, {{batch}}",
                    )
                ],
                unit="s",
                about="As the autoscaler learned it from Triton's batch statistics.",
            )
        )
    )


def _replicas(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            series(
                "Waiting at each replica",
                Place(0, 16, 8, 8),
                [
                    Query(
                        'max by (server) (narrows_server_pending_requests{server=~"$replica"})', "{{server}}: pending"
                    ),
                    Query(
                        'sum by (server) (narrows_server_outstanding_frames{server=~"$replica",job="dispatcher"})',
                        "{{server}}: outstanding",
                        "count:frames",
                    ),
                ],
                unit="count:requests",
                about="Requests in Triton's queues, and frames that dispatchers have there.",
            )
        )
        .with_panel(
            series(
                "Queue and compute",
                Place(8, 16, 8, 8),
                [
                    Query('max by (server) (narrows_server_queue_seconds{server=~"$replica"})', "{{server}}: queue"),
                    Query(
                        'max by (server) (narrows_server_compute_seconds{server=~"$replica"})', "{{server}}: compute"
                    ),
                ],
                unit="s",
                links=["Fleet"],
                about="Mean wait in Triton's queue, and mean compute of a batch.",
            )
        )
        .with_panel(
            series(
                "Errors",
                Place(16, 16, 8, 8),
                [
                    Query(
                        'sum by (server) (rate(narrows_server_failures_total{server=~"$replica"}[1m]))',
                        "{{server}}: batches",
                    ),
                    Query(
                        'sum by (server) (rate(nv_inference_request_failure{server=~"$replica"}[1m]))',
                        "{{server}}: requests",
                    ),
                ],
                unit="count:failures/s",
                about="Batches that dispatchers saw fail, and requests that Triton counts as failed, a second.",
            )
        )
        .with_panel(
            series(
                "States",
                Place(0, 24, 24, 6),
                [Query('sum by (server, state) (narrows_server_state{server=~"$replica"})', "{{server}}, {{state}}")],
                unit="count:dispatchers",
                about="In how many dispatchers' eyes a replica is in a state.",
            )
        )
    )


def _gpus(made: Dashboard) -> Dashboard:
    return (
        made.with_panel(
            series(
                "GPU utilisation",
                Place(0, 30, 8, 8),
                [Query(GPU_USE, "{{server}}")],
                unit="percentunit",
                about="nv_gpu_utilization: high long before a GPU is full, so it steers nothing. Needs a GPU.",
            )
        )
        .with_panel(
            series(
                "GPU memory",
                Place(8, 30, 8, 8),
                [Query(GPU_MEMORY, "{{server}}")],
                unit="percentunit",
                most=0.95,
                about="In use, of the replica's GPUs. Needs a GPU.",
            )
        )
        .with_panel(
            series(
                "GPU power",
                Place(16, 30, 8, 8),
                [Query(GPU_POWER, "{{server}}")],
                unit="watt",
                about="Of the replica's GPUs. Needs a GPU.",
            )
        )
    )
