import { faker } from '@faker-js/faker/locale/en';
import { seededRandom } from '../core/random.ts';
import { between, pick } from './random.ts';

export interface Product {
  /** PROD001… */
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly priceCents: number;
}

/** What a category charges, in whole currency units. */
const CATEGORIES = [
  { name: 'Electronics', low: 49, high: 899 },
  { name: 'Home & Kitchen', low: 12, high: 249 },
  { name: 'Sports & Outdoors', low: 15, high: 320 },
  { name: 'Clothing', low: 9, high: 149 },
  { name: 'Books', low: 5, high: 45 },
  { name: 'Toys', low: 6, high: 99 },
] as const;

const PRODUCTS = 50;
/** The same shop everywhere: several generators that start at once make equal rows. */
const CATALOGUE_SEED = 4711;

/** The products of a new shop, PROD001 and up. */
export function newCatalogue(): Product[] {
  const random = seededRandom(CATALOGUE_SEED);
  // Only faker's words are used: its generator is one per process, and seeding it here would
  // change what other users of it get.
  const words = faker.definitions.commerce.product_name;
  return Array.from({ length: PRODUCTS }, (_, index) => {
    const category = CATEGORIES[index % CATEGORIES.length] ?? CATEGORIES[0];
    return {
      id: `PROD${String(index + 1).padStart(3, '0')}`,
      name: [words.adjective, words.material, words.product].map((w) => pick(random, w)).join(' '),
      category: category.name,
      priceCents: between(random, category.low, category.high) * 100 + 99,
    };
  });
}
