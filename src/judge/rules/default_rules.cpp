#include "judge/rules/rule.h"

namespace qd::judge::rules {

std::string_view default_rules_yaml() {
  return R"yaml(groups:
  - name: quarterdeck-host
    rules:
      - alert: HostDiskFillsWithinADay
        expr: |
          predict_linear(node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs|iso9660|overlay"}[1h], 24 * 3600) < 0
            and node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.4
            and node_filesystem_readonly == 0
            and node_filesystem_avail_bytes offset 30m
        for: 15m
        labels: {severity: warning}
        annotations:
          summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} will be full within a day"
          description: >-
            At the pace of the last hour the file system {{ $labels.device }} mounted on {{ $labels.mountpoint }} has
            no space left 24 hours from now.
      - alert: HostDiskAlmostFull
        expr: |
          node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs|iso9660|overlay"} / node_filesystem_size_bytes < 0.05
            and node_filesystem_readonly == 0
        for: 5m
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} left"
          description: "Free space on {{ $labels.device }}, mounted on {{ $labels.mountpoint }}, before writes fail."
      - alert: HostMemoryShort
        expr: node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.1
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its memory available"
          description: "Below a tenth for five minutes: the kernel's out-of-memory killer is near."
      - alert: HostClockOff
        expr: |
          (node_timex_sync_status == 0 and node_timex_maxerror_seconds >= 16)
            or abs(node_timex_offset_seconds) > 0.05
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: "The clock of {{ $labels.instance }} is off or not synchronised"
          description: "Certificates, logs and metrics of this host carry wrong times: see that its NTP service runs."
      - alert: HostRebooted
        expr: node_time_seconds - node_boot_time_seconds < 600
        labels: {severity: info}
        annotations:
          summary: "{{ $labels.instance }} started {{ $value | humanizeDuration }} ago"
          description: "Told for ten minutes after a boot, planned or not."
  - name: quarterdeck-targets
    rules:
      - alert: TargetDown
        expr: up == 0
        for: 1m
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.job }} on {{ $labels.instance }} gives no metrics"
          description: "Its last scrapes failed; the Targets page shows why."
)yaml";
}

}  // namespace qd::judge::rules
