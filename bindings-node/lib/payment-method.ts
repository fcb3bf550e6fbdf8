import { isObject, options, text, typeName, wrongType } from './arguments.js';
import { native } from './native.js';
import type { PaymentMethod as NativePaymentMethod } from './native-module.js';

/** Who is paid out through Haram. */
export interface HaramRecipient {
  /** The full name. */
  name: string;
  /** A phone number of 7 to 15 digits. */
  phone: string;
  /** The governorate in which it is picked up. */
  governorate: string;
}

/** Who is paid out through SY Cash. */
export interface SyCashRecipient {
  /** A Syrian mobile number. */
  phone: string;
}

/** A method by its id. */
export interface CustomMethod {
  /** The method's id. */
  id: string;
  /** The names and values of the fields that it wants, in their order. */
  fields: Readonly<Record<string, string>>;
}

const HARAM_RECIPIENT = ['name', 'phone', 'governorate'];
const KEY = Symbol('payment method');

/** @internal The native part of a payment method. */
export let nativePaymentMethod: (name: string, value: unknown) => NativePaymentMethod;

/**
 * How a payout reaches its recipient, with the fields that the method wants.
 *
 * The provider warns that repeated rejections can cost a merchant its account (documented), so what
 * is surely wrong is refused with a `ValidationError` before anything is sent: a blank field; for
 * `syCash` a phone that is not a Syrian mobile number; for Haram a phone without 7 to 15 digits, or
 * an amount in SYP on the wrong side of 3,000,000 (exactly 3,000,000 fits both). These are the
 * documentation's own lines. Should one no longer fit, `custom` is the way past it.
 */
export class PaymentMethod {
  static {
    nativePaymentMethod = (name, value) => {
      if (typeof value === 'object' && value !== null && #native in value) {
        return value.#native;
      }
      throw wrongType(name, 'a PaymentMethod', value);
    };
  }

  readonly #native: NativePaymentMethod;

  private constructor(key: typeof KEY, method: NativePaymentMethod) {
    if (key !== KEY) {
      throw new TypeError(
        'a PaymentMethod is made with PaymentMethod.haramUnder3m, haramOver3m, syCash or custom',
      );
    }
    this.#native = method;
  }

  /**
   * Haram, up to 3,000,000 SYP: method 37 (documented).
   *
   * @example
   * import { PaymentMethod } from 'kazawallet';
   *
   * const method = PaymentMethod.haramUnder3m({
   *   name: 'سعيد محمد حمدان',
   *   phone: '0933123456',
   *   governorate: 'دمشق',
   * });
   *
   * @throws TypeError for a field that is no string, and for one that it does not know.
   */
  static haramUnder3m(recipient: HaramRecipient): PaymentMethod {
    const [name, phone, governorate] = haramFields('PaymentMethod.haramUnder3m', recipient);
    return new PaymentMethod(KEY, native.PaymentMethod.haramUnder3m(name, phone, governorate));
  }

  /**
   * Haram, from 3,000,000 SYP on: method 35 (documented).
   *
   * @throws TypeError for a field that is no string, and for one that it does not know.
   */
  static haramOver3m(recipient: HaramRecipient): PaymentMethod {
    const [name, phone, governorate] = haramFields('PaymentMethod.haramOver3m', recipient);
    return new PaymentMethod(KEY, native.PaymentMethod.haramOver3m(name, phone, governorate));
  }

  /**
   * SY Cash: method 38 (documented). The recipient's phone is a Syrian mobile number: `09…`,
   * `+9639…` or `009639…`, with or without spaces and dashes. The ten digits of the local form are
   * sent.
   *
   * @throws TypeError for a field that is no string, and for one that it does not know.
   */
  static syCash(recipient: SyCashRecipient): PaymentMethod {
    const given = options('PaymentMethod.syCash', recipient, ['phone']);
    return new PaymentMethod(KEY, native.PaymentMethod.syCash(text('phone', given['phone'])));
  }

  /**
   * Any other method, by its id, with its fields (names and values) in the order given. Nothing but a
   * blank id is refused.
   *
   * @throws TypeError for an id or a field that is no string, and for an option that it does not know.
   */
  static custom(method: CustomMethod): PaymentMethod {
    const given = options('PaymentMethod.custom', method, ['id', 'fields']);
    const id = text('id', given['id']);
    const fields = given['fields'];
    if (!isObject(fields)) {
      throw wrongType('fields', 'an object of field names and their values', fields);
    }
    const pairs = Object.entries(fields).flatMap(([name, value]: [string, unknown]) => {
      if (typeof value !== 'string') {
        throw new TypeError(`\`fields\` must hold strings alone, not ${typeName(value)}`);
      }
      return [text('fields', name), text('fields', value)];
    });
    return new PaymentMethod(KEY, native.PaymentMethod.custom(id, pairs));
  }
}

function haramFields(owner: string, recipient: unknown): [string, string, string] {
  const given = options(owner, recipient, HARAM_RECIPIENT);
  return [
    text('name', given['name']),
    text('phone', given['phone']),
    text('governorate', given['governorate']),
  ];
}
