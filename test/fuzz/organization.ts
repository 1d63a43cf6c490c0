/** The one organisation of every world. */
export const ORGANIZATION_ID = "org_aaaaaaaaaaaaaaaaaaaa";
