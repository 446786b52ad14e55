import { describeRights } from './harness/rights.ts';

describeRights(15);
describeRights(16);
describeRights(17);
