//! What `/metrics` shows.

use super::*;
use ::http::StatusCode;

#[test]
fn what_was_counted_is_rendered() {
    let metrics = Metrics::new();
    metrics
        .requests_of("/api/*")
        .count(Fate::Forwarded, StatusCode::NO_CONTENT);
    metrics.upstream_answered(Duration::from_millis(3));
    metrics.config_reload("refused");
    metrics.config_in_force(7);
    let open = [metrics.connection_opened(), metrics.connection_opened()];
    let websocket = metrics.websocket_opened();
    let text = metrics.render();
    for line in [
        "logto_proxy_requests_total{route=\"/api/*\",decision=\"forward\",status=\"2xx\"} 1",
        "logto_proxy_upstream_response_duration_seconds_count 1",
        "logto_proxy_upstream_response_duration_seconds_bucket{le=\"0.0025\"} 0",
        "logto_proxy_upstream_response_duration_seconds_bucket{le=\"0.005\"} 1",
        "logto_proxy_upstream_response_duration_seconds_bucket{le=\"+Inf\"} 1",
        "logto_proxy_config_reloads_total{outcome=\"refused\"} 1",
        "logto_proxy_config_in_force_timestamp_seconds 7",
        "logto_proxy_open_connections 2",
        "logto_proxy_open_websockets 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    assert!(text.contains(&format!(
        "logto_proxy_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    )));
    assert!(text.ends_with("# EOF\n"));
    drop((open, websocket));
    assert!(metrics.render().contains("logto_proxy_open_connections 0\n"));
    assert!(metrics.render().contains("logto_proxy_open_websockets 0\n"));
}
