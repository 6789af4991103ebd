// Who uses a GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "observe/gpu/driver_for_test.h"

namespace qd::observe::gpu {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kTrainer(64, 'a');
const std::string kPod(64, 'b');
const std::string kStranger(64, 'c');

RecordingSink collect(GpuCollector& collector, const Driver& driver) {
  RecordingSink sink;
  EXPECT_TRUE(collector.collect(driver.within_ms(20'000), sink));
  EXPECT_THAT(sink.faults(), IsEmpty());
  return sink;
}

void add_containers(Driver& driver) {
  Container trainer;
  trainer.id = kTrainer;
  trainer.name = "shop-trainer-1";
  Container pod;
  pod.id = kPod;
  pod.name = "k8s_main_llm_ai_7_0";
  pod.labels = {{"io.kubernetes.container.name", "main"},
                {"io.kubernetes.pod.name", "llm-0"},
                {"io.kubernetes.pod.namespace", "ai"}};
  driver.containers = {trainer, pod};
  driver.process(11, "python3", kTrainer);
  driver.process(12, "vllm", kPod);
  driver.process(13, "Xorg");
  driver.process(14, "miner", kStranger);
}

TEST(GpuUsage, processes_are_told_with_their_containers) {
  Driver driver;
  add_containers(driver);
  driver.script(std::string(kOneGpu) +
                "0 process compute 11 1000\n0 process compute 12 2000\n0 process graphics 13 50\n"
                "0 process compute 14 -\n0 process graphics 11 1000\n0 process compute 99 5\n"
                "0 sample 11 1000 40\n0 sample 11 2000 60\n0 sample 12 2000 7\n0 sample 14 2000 250\n");
  auto collector = driver.collector();
  const RecordingSink sink = collect(*collector, driver);
  EXPECT_EQ(collector->trouble(), nullptr);
  const std::string trainer = "container=\"shop-trainer-1\",pid=\"11\",process=\"python3\"";
  const std::string pod = "container=\"main\",namespace=\"ai\",pid=\"12\",pod=\"llm-0\",process=\"vllm\"";
  const std::string stranger = "container=\"" + kStranger + "\",pid=\"14\",process=\"miner\"";
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", trainer)), 1000);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_SM_UTIL", trainer)), 50);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", pod)), 2000);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_SM_UTIL", pod)), 7);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", "pid=\"13\",process=\"Xorg\"")), 50);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_SM_UTIL", "pid=\"13\",process=\"Xorg\"")), 0);
  // The driver does not tell its memory, and more than all of it is no percentage.
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", stranger)), std::nullopt);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_SM_UTIL", stranger)), 0);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", "pid=\"99\"")), 5) << "a process that is gone has no name";

  // What was told of their use is not told again, neither when nothing is new nor beside what is.
  EXPECT_EQ(collect(*collector, driver).value(of_gpu("DCGM_EXP_PROCESS_SM_UTIL", trainer)), 0);
  driver.script(std::string(kOneGpu) +
                "0 process compute 11 1000\n0 process compute 12 2000\n0 sample 11 2000 60\n0 sample 12 3000 9\n");
  const RecordingSink next = collect(*collector, driver);
  EXPECT_EQ(next.value(of_gpu("DCGM_EXP_PROCESS_SM_UTIL", trainer)), 0);
  EXPECT_EQ(next.value(of_gpu("DCGM_EXP_PROCESS_SM_UTIL", pod)), 9);
}

TEST(GpuUsage, more_processes_than_the_limit_are_counted) {
  Driver driver;
  std::string script(kOneGpu);
  for (int i = 1; i <= 300; ++i)
    script += "0 process compute " + std::to_string(i) + " " + std::to_string(i * 10) + "\n";
  driver.script(script);
  driver.options.processes_limit = 2;
  auto collector = driver.collector();
  const RecordingSink sink = collect(*collector, driver);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", "pid=\"300\"")), 3000);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", "pid=\"299\"")), 2990);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", "pid=\"298\"")), std::nullopt);
  ASSERT_NE(collector->trouble(), nullptr);
  EXPECT_EQ(collector->trouble()->code(), base::ErrorCode::kLimit);
  EXPECT_THAT(collector->trouble()->message(), HasSubstr("observe.gpu.processes_limit (2)"));

  driver.options.processes_limit = 0;
  collector = driver.collector();
  EXPECT_EQ(collect(*collector, driver).types().count("DCGM_EXP_PROCESS_FB_USED"), 0U);
  EXPECT_EQ(collector->trouble(), nullptr);
}

TEST(GpuUsage, samples_of_a_gpu_come_again_for_each_container_where_that_is_wanted) {
  Driver driver;
  add_containers(driver);
  driver.script(std::string(kOneGpu) +
                "0 temp 41\n0 process compute 11 1000\n0 process compute 12 2000\n0 process graphics 13 50\n");
  auto plain = driver.collector();
  EXPECT_EQ(collect(*plain, driver).value(of_gpu("DCGM_FI_DEV_GPU_TEMP", "container=\"shop-trainer-1\"")),
            std::nullopt);
  driver.options.container_samples = true;
  auto collector = driver.collector();
  RecordingSink sink = collect(*collector, driver);
  EXPECT_EQ(sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP")), 41);
  EXPECT_EQ(sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP", "container=\"shop-trainer-1\"")), 41);
  EXPECT_EQ(sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP", "container=\"main\",namespace=\"ai\",pod=\"llm-0\"")), 41);
  EXPECT_EQ(sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", "pid=\"13\",process=\"Xorg\"")), 50);

  // Of a divided GPU, an instance's for those that use it.
  driver.script(std::string(kOneGpu) +
                "0 temp 41\n0 instance 3 0 1g.10gb 9728 28 12\n0 instance 4 0 1g.10gb 9728 28 13\n"
                "0 process compute 11 1000 3\n0 process compute 12 2000 4\n");
  sink = collect(*collector, driver);
  const std::string three = "GPU_I_ID=\"3\",GPU_I_PROFILE=\"1g.10gb\"";
  EXPECT_EQ(sink.value(of_gpu("DCGM_FI_DEV_FB_USED", three)), 12);
  EXPECT_EQ(sink.value(of_gpu("DCGM_FI_DEV_FB_USED", three + ",container=\"shop-trainer-1\"")), 12);
  EXPECT_EQ(sink.value(of_gpu("DCGM_FI_DEV_FB_USED", three + ",container=\"main\",namespace=\"ai\",pod=\"llm-0\"")),
            std::nullopt);
  EXPECT_EQ(sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP", "container=\"shop-trainer-1\"")), 41);
}

}  // namespace
}  // namespace qd::observe::gpu
