export function thirdPartyLicences(moduleIds: readonly string[]): string;
