#include "observe/containers/families.h"

#include <array>

namespace qd::observe::containers {
namespace {

using enum model::MetricType;

#define QD_OF_CGROUP "container_env_*,container_label_*,id,image,name"
#define QD_OF_MACHINE "boot_id,machine_id,system_uuid"

constexpr std::array<FamilyInfo, index_of(Family::kCount)> kFamilies = {{
    {"container_last_seen", kGauge, "Last time a container was seen by the exporter", QD_OF_CGROUP},
    {"container_health_state", kGauge, "The result of the container's health check", QD_OF_CGROUP},
    {"container_creation_time_seconds", kGauge, "Container creation time since unix epoch in seconds.", QD_OF_CGROUP},
    {"container_start_time_seconds", kGauge, "Start time of the container since unix epoch in seconds.", QD_OF_CGROUP},
    {"container_spec_cpu_period", kGauge, "CPU period of the container.", QD_OF_CGROUP},
    {"container_spec_cpu_quota", kGauge, "CPU quota of the container.", QD_OF_CGROUP},
    {"container_spec_cpu_shares", kGauge, "CPU share of the container.", QD_OF_CGROUP},
    {"container_spec_memory_limit_bytes", kGauge, "Memory limit for the container.", QD_OF_CGROUP},
    {"container_spec_memory_reservation_limit_bytes", kGauge, "Memory reservation limit for the container.",
     QD_OF_CGROUP},
    {"container_spec_memory_swap_limit_bytes", kGauge, "Memory swap limit for the container.", QD_OF_CGROUP},
    {"container_cpu_user_seconds_total", kCounter, "Cumulative user cpu time consumed in seconds.", QD_OF_CGROUP},
    {"container_cpu_system_seconds_total", kCounter, "Cumulative system cpu time consumed in seconds.", QD_OF_CGROUP},
    {"container_cpu_cfs_periods_total", kCounter, "Number of elapsed enforcement period intervals.", QD_OF_CGROUP},
    {"container_cpu_cfs_throttled_periods_total", kCounter, "Number of throttled period intervals.", QD_OF_CGROUP},
    {"container_cpu_cfs_throttled_seconds_total", kCounter, "Total time duration the container has been throttled.",
     QD_OF_CGROUP},
    {"container_cpu_cfs_burst_periods_total", kCounter, "Number of periods when burst occurs.", QD_OF_CGROUP},
    {"container_cpu_cfs_burst_seconds_total", kCounter, "Total time duration the container has been bursted.",
     QD_OF_CGROUP},
    {"container_memory_cache", kGauge, "Number of bytes of page cache memory.", QD_OF_CGROUP},
    {"container_memory_rss", kGauge, "Size of RSS in bytes.", QD_OF_CGROUP},
    {"container_memory_kernel_usage", kGauge, "Size of kernel memory allocated in bytes.", QD_OF_CGROUP},
    {"container_memory_mapped_file", kGauge, "Size of memory mapped files in bytes.", QD_OF_CGROUP},
    {"container_memory_swap", kGauge, "Container swap usage in bytes.", QD_OF_CGROUP},
    {"container_memory_failcnt", kCounter, "Number of memory usage hits limits", QD_OF_CGROUP},
    {"container_memory_usage_bytes", kGauge,
     "Current memory usage in bytes, including all memory regardless of when it was accessed", QD_OF_CGROUP},
    {"container_memory_max_usage_bytes", kGauge, "Maximum memory usage recorded in bytes", QD_OF_CGROUP},
    {"container_memory_working_set_bytes", kGauge, "Current working set in bytes.", QD_OF_CGROUP},
    {"container_memory_total_active_file_bytes", kGauge, "Current total active file in bytes.", QD_OF_CGROUP},
    {"container_memory_total_inactive_file_bytes", kGauge, "Current total inactive file in bytes.", QD_OF_CGROUP},
    {"container_memory_events_high_total", kCounter,
     "Cumulative count of memory.high throttle events for the container", QD_OF_CGROUP},
    {"container_memory_events_max_total", kCounter, "Cumulative count of memory.max limit hit events for the container",
     QD_OF_CGROUP},
    {"container_memory_file_dirty_bytes", kGauge,
     "Number of bytes of file cache that has been modified but not yet written back to disk.", QD_OF_CGROUP},
    {"container_memory_file_writeback_bytes", kGauge,
     "Number of bytes of file cache that is currently being written back to disk.", QD_OF_CGROUP},
    {"container_memory_pgscan_total", kCounter, "Cumulative number of pages scanned by the page reclaim algorithm.",
     QD_OF_CGROUP},
    {"container_memory_pgsteal_total", kCounter, "Cumulative number of pages reclaimed by the page reclaim algorithm.",
     QD_OF_CGROUP},
    {"container_memory_workingset_refault_file_total", kCounter,
     "Cumulative number of refaults of previously evicted file pages.", QD_OF_CGROUP},
    {"container_memory_workingset_refault_anon_total", kCounter,
     "Cumulative number of refaults of previously evicted anonymous pages.", QD_OF_CGROUP},
    {"container_oom_events_total", kCounter, "Count of out of memory events observed for the container", QD_OF_CGROUP},
    {"container_processes", kGauge, "Number of processes running inside the container.", QD_OF_CGROUP},
    {"container_threads", kGauge, "Number of threads running inside the container", QD_OF_CGROUP},
    {"container_threads_max", kGauge,
     "Maximum number of threads allowed inside the container, infinity if value is zero", QD_OF_CGROUP},
    {"container_file_descriptors", kGauge, "Number of open file descriptors for the container.", QD_OF_CGROUP},
    {"container_sockets", kGauge, "Number of open sockets for the container.", QD_OF_CGROUP},
    {"container_pressure_cpu_stalled_seconds_total", kCounter,
     "Total time duration no tasks in the container could make progress due to CPU congestion.", QD_OF_CGROUP},
    {"container_pressure_cpu_waiting_seconds_total", kCounter,
     "Total time duration tasks in the container have waited due to CPU congestion.", QD_OF_CGROUP},
    {"container_pressure_memory_stalled_seconds_total", kCounter,
     "Total time duration no tasks in the container could make progress due to memory congestion.", QD_OF_CGROUP},
    {"container_pressure_memory_waiting_seconds_total", kCounter,
     "Total time duration tasks in the container have waited due to memory congestion.", QD_OF_CGROUP},
    {"container_pressure_io_stalled_seconds_total", kCounter,
     "Total time duration no tasks in the container could make progress due to IO congestion.", QD_OF_CGROUP},
    {"container_pressure_io_waiting_seconds_total", kCounter,
     "Total time duration tasks in the container have waited due to IO congestion.", QD_OF_CGROUP},
    {"container_cpu_usage_seconds_total", kCounter, "Cumulative cpu time consumed in seconds.", QD_OF_CGROUP ",cpu"},
    {"container_memory_failures_total", kCounter, "Cumulative count of memory allocation failures.",
     QD_OF_CGROUP ",failure_type,scope"},
    {"container_ulimits_soft", kGauge,
     "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice",
     QD_OF_CGROUP ",ulimit"},
    {"container_blkio_device_usage_total", kCounter, "Blkio Device bytes usage",
     QD_OF_CGROUP ",device,major,minor,operation"},
    {"container_fs_reads_bytes_total", kCounter, "Cumulative count of bytes read", QD_OF_CGROUP ",device"},
    {"container_fs_reads_total", kCounter, "Cumulative count of reads completed", QD_OF_CGROUP ",device"},
    {"container_fs_sector_reads_total", kCounter, "Cumulative count of sector reads completed", QD_OF_CGROUP ",device"},
    {"container_fs_reads_merged_total", kCounter, "Cumulative count of reads merged", QD_OF_CGROUP ",device"},
    {"container_fs_read_seconds_total", kCounter, "Cumulative count of seconds spent reading", QD_OF_CGROUP ",device"},
    {"container_fs_writes_bytes_total", kCounter, "Cumulative count of bytes written", QD_OF_CGROUP ",device"},
    {"container_fs_writes_total", kCounter, "Cumulative count of writes completed", QD_OF_CGROUP ",device"},
    {"container_fs_sector_writes_total", kCounter, "Cumulative count of sector writes completed",
     QD_OF_CGROUP ",device"},
    {"container_fs_writes_merged_total", kCounter, "Cumulative count of writes merged", QD_OF_CGROUP ",device"},
    {"container_fs_write_seconds_total", kCounter, "Cumulative count of seconds spent writing", QD_OF_CGROUP ",device"},
    {"container_fs_io_current", kGauge, "Number of I/Os currently in progress", QD_OF_CGROUP ",device"},
    {"container_fs_io_time_seconds_total", kCounter, "Cumulative count of seconds spent doing I/Os",
     QD_OF_CGROUP ",device"},
    {"container_fs_io_time_weighted_seconds_total", kCounter, "Cumulative weighted I/O time in seconds",
     QD_OF_CGROUP ",device"},
    {"container_fs_io_cost_usage_seconds_total", kCounter, "Cumulative IOCost usage in seconds",
     QD_OF_CGROUP ",device"},
    {"container_fs_io_cost_wait_seconds_total", kCounter, "Cumulative IOCost wait in seconds", QD_OF_CGROUP ",device"},
    {"container_fs_io_cost_indebt_seconds_total", kCounter, "Cumulative IOCost debt in seconds",
     QD_OF_CGROUP ",device"},
    {"container_fs_io_cost_indelay_seconds_total", kCounter, "Cumulative IOCost delay in seconds",
     QD_OF_CGROUP ",device"},
    {"container_fs_inodes_free", kGauge, "Number of available Inodes", QD_OF_CGROUP ",device"},
    {"container_fs_inodes_total", kGauge, "Number of Inodes", QD_OF_CGROUP ",device"},
    {"container_fs_limit_bytes", kGauge, "Number of bytes that can be consumed by the container on this filesystem.",
     QD_OF_CGROUP ",device"},
    {"container_fs_usage_bytes", kGauge, "Number of bytes that are consumed by the container on this filesystem.",
     QD_OF_CGROUP ",device"},
    {"container_network_receive_bytes_total", kCounter, "Cumulative count of bytes received",
     QD_OF_CGROUP ",interface"},
    {"container_network_receive_packets_total", kCounter, "Cumulative count of packets received",
     QD_OF_CGROUP ",interface"},
    {"container_network_receive_errors_total", kCounter, "Cumulative count of errors encountered while receiving",
     QD_OF_CGROUP ",interface"},
    {"container_network_receive_packets_dropped_total", kCounter, "Cumulative count of packets dropped while receiving",
     QD_OF_CGROUP ",interface"},
    {"container_network_transmit_bytes_total", kCounter, "Cumulative count of bytes transmitted",
     QD_OF_CGROUP ",interface"},
    {"container_network_transmit_packets_total", kCounter, "Cumulative count of packets transmitted",
     QD_OF_CGROUP ",interface"},
    {"container_network_transmit_errors_total", kCounter, "Cumulative count of errors encountered while transmitting",
     QD_OF_CGROUP ",interface"},
    {"container_network_transmit_packets_dropped_total", kCounter,
     "Cumulative count of packets dropped while transmitting", QD_OF_CGROUP ",interface"},
    {"container_scrape_error", kGauge, "1 if there was an error while getting container metrics, 0 otherwise", ""},
    {"cadvisor_version_info", kGauge,
     "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & "
     "cadvisor revision.",
     "cadvisorRevision,cadvisorVersion,kernelVersion,osVersion"},
    {"machine_cpu_cores", kGauge, "Number of logical CPU cores.", QD_OF_MACHINE},
    {"machine_cpu_physical_cores", kGauge, "Number of physical CPU cores.", QD_OF_MACHINE},
    {"machine_cpu_sockets", kGauge, "Number of CPU sockets.", QD_OF_MACHINE},
    {"machine_memory_bytes", kGauge, "Amount of memory installed on the machine.", QD_OF_MACHINE},
    {"machine_swap_bytes", kGauge, "Amount of swap memory available on the machine.", QD_OF_MACHINE},
    {"machine_scrape_error", kGauge, "1 if there was an error while getting machine metrics, 0 otherwise.", ""},
}};

#undef QD_OF_CGROUP
#undef QD_OF_MACHINE

constexpr std::string_view kLoad =
    "the kernel gives it over netlink to the machine's root only, and not with cgroup version 2; cAdvisor has it off "
    "and tells 0; container_pressure_cpu_* says more";
constexpr std::string_view kPerf = "cAdvisor has it only with a file of perf events to count";
constexpr std::string_view kResctrl = "off in cAdvisor unless the program is started with resctrl";
constexpr std::string_view kOffByDefault = "off in cAdvisor unless it is started with this kind of metric";
constexpr std::string_view kApplication = "what an application gives of itself is scraped as a target";
constexpr std::string_view kTopology = "off in cAdvisor unless it is started with cpu_topology; constant figures";
constexpr std::string_view kHardware = "of hardware that is rare, from interfaces that need the machine's root";

constexpr std::array kLeftOut = {
    LeftOut{"container_fs_usage_bytes of a container",
            "takes a walk over all files of its writable layer, which costs more than all other figures together; "
            "told for the machine (id=\"/\")"},
    LeftOut{"container_fs_limit_bytes of a container", "told for the machine (id=\"/\")"},
    LeftOut{"container_fs_inodes_free of a container", "told for the machine (id=\"/\")"},
    LeftOut{"container_fs_inodes_total of a container", "told for the machine (id=\"/\")"},
    LeftOut{"container_cpu_usage_seconds_total with cpu=\"cpu00\"",
            "the total is told; a series for each CPU of each cgroup is only there with cgroup version 1"},
    LeftOut{"cadvisor_version_info's label dockerVersion", "the engine is discovery's to ask"},
    LeftOut{"container_cpu_load_average_10s", kLoad},
    LeftOut{"container_cpu_load_d_average_10s", kLoad},
    LeftOut{"container_tasks_state", kLoad},
    LeftOut{"container_cpu_schedstat_run_periods_total", kOffByDefault},
    LeftOut{"container_cpu_schedstat_run_seconds_total", kOffByDefault},
    LeftOut{"container_cpu_schedstat_runqueue_seconds_total", kOffByDefault},
    LeftOut{"container_hugetlb_failcnt", kOffByDefault},
    LeftOut{"container_hugetlb_max_usage_bytes", kOffByDefault},
    LeftOut{"container_hugetlb_usage_bytes", kOffByDefault},
    LeftOut{"container_memory_migrate", kOffByDefault},
    LeftOut{"container_memory_numa_pages", kOffByDefault},
    LeftOut{"container_referenced_bytes",
            "off in cAdvisor unless it is started with this kind of metric; reading it clears the kernel's marks"},
    LeftOut{"container_network_advance_tcp_stats_total", kOffByDefault},
    LeftOut{"container_network_tcp_usage_total", kOffByDefault},
    LeftOut{"container_network_tcp6_usage_total", kOffByDefault},
    LeftOut{"container_network_udp_usage_total", kOffByDefault},
    LeftOut{"container_network_udp6_usage_total", kOffByDefault},
    LeftOut{"container_llc_occupancy_bytes", kResctrl},
    LeftOut{"container_memory_bandwidth_bytes", kResctrl},
    LeftOut{"container_memory_bandwidth_local_bytes", kResctrl},
    LeftOut{"container_perf_events_scaling_ratio", kPerf},
    LeftOut{"container_perf_events_total", kPerf},
    LeftOut{"container_perf_uncore_events_scaling_ratio", kPerf},
    LeftOut{"container_perf_uncore_events_total", kPerf},
    LeftOut{"container_custom_app_metric_*", kApplication},
    LeftOut{"machine_cpu_books", "IBM Z only"},
    LeftOut{"machine_cpu_drawers", "IBM Z only"},
    LeftOut{"machine_cpu_cache_capacity_bytes", kTopology},
    LeftOut{"machine_node_distance", kTopology},
    LeftOut{"machine_node_hugepages_count", kTopology},
    LeftOut{"machine_node_memory_capacity_bytes", kTopology},
    LeftOut{"machine_thread_siblings_count", kTopology},
    LeftOut{"machine_dimm_capacity_bytes", kHardware},
    LeftOut{"machine_dimm_count", kHardware},
    LeftOut{"machine_nvm_avg_power_budget_watts", kHardware},
    LeftOut{"machine_nvm_capacity", kHardware},
};

}  // namespace

std::span<const FamilyInfo> families() {
  return kFamilies;
}

const FamilyInfo& info(Family family) {
  return kFamilies[index_of(family)];
}

std::span<const LeftOut> left_out() {
  return kLeftOut;
}

}  // namespace qd::observe::containers
