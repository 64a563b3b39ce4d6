/** `LINUX_VERSION_CODE` of a version such as `"6.1.170"`: major << 16 | minor << 8 | patch (at most 255). */
export function versionCode(version: string): number {
  const [major, minor, patch] = version.split(".").map(Number);
  return (major << 16) | (minor << 8) | Math.min(patch || 0, 255);
}
