"""The four operations that are measured, and what is sent with them."""

from app import ids
from bench import data

PRODUCTS = """\
query Products($first: Int!, $after: String) {
  products(first: $first, after: $after, sort: SALES) {
    nodes {
      id
      title
      subtitle
      image
      status
      priceRange { low { amountMinor formatted } high { amountMinor formatted } }
      soldCount
      ratingBp
      supplier { id name }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
PRODUCT = """\
query Product($id: ID!) {
  product(id: $id) {
    id
    title
    subtitle
    description
    image
    status
    priceRange { low { amountMinor formatted } high { amountMinor formatted } }
    soldCount
    ratingBp
    isFresh
    returnDays
    customerLimit
    supplier { id name ratingBp shipFrom shipping { amountMinor } }
    category { id name }
    options { id name choices }
    skus {
      id
      code
      price { amountMinor formatted }
      marketPrice { amountMinor }
      options { name value }
      available
      weightG
    }
    groupBuys { id status size held remaining expiresAt }
  }
}
"""
CART = """\
query Cart {
  cart {
    id
    version
    lines {
      id
      quantity
      isSelected
      unitPrice { amountMinor }
      sku {
        id
        code
        price { amountMinor }
        product { id title image supplier { id name } }
      }
    }
    cost { goods { amountMinor } shipping { amountMinor } payable { amountMinor } }
    groups { supplier { id name } goods { amountMinor } }
  }
}
"""
ADD = """\
mutation AddCartLine($input: AddCartLineInput!) {
  addCartLine(input: $input) {
    ... on CartChanged {
      cart {
        id
        version
        lines { id quantity }
        cost { payable { amountMinor } }
      }
    }
    ... on Problem { code message }
  }
}
"""
DOCUMENTS = {"q1": PRODUCTS, "q2": PRODUCT, "q3": CART, "m1": ADD}
PAGE = {"first": 24}
DETAIL = {"id": ids.encode("Product", data.DETAIL)}


def addition(sku_id: int, quantity: int = 1) -> dict[str, object]:
    return {"input": {"skuId": ids.encode("Sku", sku_id), "quantity": quantity}}
